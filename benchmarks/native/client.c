#define _GNU_SOURCE

#include "client.h"

#include "process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum {
    READ_SIZE = 256 << 10,
    HEAD_SIZE = 64 << 10,   /* a longer head of an answer is refused */
    PER_ADDRESS = 28000,    /* connections from one source address: the usual range of ports holds 28,232 */
};

struct queue {
    struct conn *first, **end;
};

struct plan plan;
struct fare fare;
struct conn *conns;
int epoll;
static struct queue waiting, failed;
static unsigned opening;
static uint8_t input[READ_SIZE];
static char request[4096];
static size_t request_size;
static const char key[] = "bmF0aXZlIGJlbmNobWFyaw==";
static char accept_wanted[ACCEPT_CHARS + 1];
static const uint8_t pong_mask[4] = {0x5a, 0xa5, 0x3c, 0xc3};

static void append(struct queue *queue, struct conn *conn)
{
    conn->next = NULL;
    *queue->end = conn;
    queue->end = &conn->next;
}

static void write_request(void)
{
    accept_for(key, accept_wanted);
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n", plan.path, plan.host);
    if (plan.mode->websocket && size < (int)sizeof request)
        size += snprintf(request + size, sizeof request - size,
                         "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                         "Sec-WebSocket-Version: 13\r\n", key);
    if (size + 2 >= (int)sizeof request)
        die("--path and --host-header are longer than %zu bytes together", sizeof request - 256);
    memcpy(request + size, "\r\n", 2);
    request_size = size + 2;
}

void make_connections(void)
{
    write_request();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc(plan.connections, sizeof *conns);
    if (!conns)
        die("no memory for %u connections", plan.connections);
    waiting.end = &waiting.first;
    failed.end = &failed.first;
    for (unsigned i = 0; i < plan.connections; i++) {
        conns[i].fd = -1;
        conns[i].index = i;
        append(&waiting, &conns[i]);
    }
}

static void end(struct conn *conn)
{
    if (conn->opening)
        opening--;
    close(conn->fd);
    free(conn->kept);
    *conn = (struct conn){.fd = -1, .index = conn->index, .was_open = conn->was_open};
}

void reopen(struct conn *conn)
{
    end(conn);
    append(&waiting, conn);
}

void fail(struct conn *conn, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(fare.reason, sizeof fare.reason, format, values);
    va_end(values);
    if (fare.opened)
        fare.errors++;
    end(conn);
    append(&failed, conn);
}

bool any_failed(void) { return failed.first; }

void retry_failed(void)
{
    *waiting.end = failed.first;
    waiting.end = failed.end;
    failed = (struct queue){NULL, &failed.first};
}

void opened(struct conn *conn, uint64_t now)
{
    opening--;
    conn->opening = false;
    if (conn->was_open)
        return;
    conn->was_open = true;
    fare.opened++;
    fare.last_opened = now;
}

static void watch(struct conn *conn, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};
    if (epoll_ctl(epoll, operation, conn->fd, &event))
        die("epoll_ctl: %s", strerror(errno));
    conn->watched = events;
}

/* Sends what the socket takes, and waits for its readiness if that is not all. */
static void push(struct conn *conn)
{
    while (conn->out_size) {
        ssize_t sent = send(conn->fd, conn->out, conn->out_size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            if (!plan.mode->on_end || !plan.mode->on_end(conn))
                fail(conn, "%s", strerror(errno));
            return;
        }
        size_t size = sent < 0 ? 0 : (size_t)sent;
        conn->out += size;
        conn->out_size -= size;
        if (conn->out_size)
            break;
        if (conn->pong_size) {
            conn->out = conn->pong;
            conn->out_size = conn->pong_size;
            conn->pong_size = 0;
        }
    }
    uint32_t events = conn->out_size ? EPOLLIN | EPOLLOUT : EPOLLIN;
    if (events != conn->watched)
        watch(conn, EPOLL_CTL_MOD, events);
}

void send_all(struct conn *conn, const uint8_t *data, size_t size)
{
    conn->out = data;
    conn->out_size = size;
    push(conn);
}

void send_request(struct conn *conn) { send_all(conn, (uint8_t *)request, request_size); }

/* Answers a ping behind the write that is under way; of several, the last alone (RFC 6455, 5.5.3). */
static void answer_ping(struct conn *conn)
{
    if (conn->out >= conn->pong && conn->out < conn->pong + sizeof conn->pong && conn->out_size)
        return;
    size_t size = write_head(conn->pong, FIN | PONG, conn->frames.length, pong_mask);
    copy_masked(conn->pong + size, conn->payload, conn->frames.length, pong_mask, 0);
    size += conn->frames.length;
    if (conn->out_size)
        conn->pong_size = size;
    else
        send_all(conn, conn->pong, size);
}

static void open_connection(struct conn *conn)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(plan.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in source = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK + conn->index / PER_ADDRESS)};
    conn->opening = true;
    opening++;
    conn->since = now_ns();
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        fail(conn, "socket: %s", strerror(errno));
        return;
    }
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (conn->index >= PER_ADDRESS) {
        setsockopt(conn->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
        if (bind(conn->fd, (struct sockaddr *)&source, sizeof source)) {
            fail(conn, "bind: %s", strerror(errno));
            return;
        }
    }
    int result = connect(conn->fd, (struct sockaddr *)&address, sizeof address);
    if (result && errno != EINPROGRESS) {
        fail(conn, "connect: %s", strerror(errno));
        return;
    }
    watch(conn, EPOLL_CTL_ADD, result ? EPOLLIN | EPOLLOUT : EPOLLIN);
    conn->out = (uint8_t *)request;
    conn->out_size = request_size;
    if (!result)
        push(conn);
}

void open_waiting(void)
{
    while (waiting.first && opening < plan.most_opening) {
        struct conn *conn = waiting.first;
        waiting.first = conn->next;
        if (!waiting.first)
            waiting.end = &waiting.first;
        open_connection(conn);
    }
}

/* Takes the answer to the opening handshake (RFC 6455, section 4.1); returns the bytes taken. */
static size_t take_upgrade(struct conn *conn, const uint8_t *data, size_t size, uint64_t now)
{
    struct text head = {(const char *)data, http_head((const char *)data, size)};
    if (!head.size)
        return 0;
    struct text accept = http_field(head, "Sec-WebSocket-Accept:");
    if (!starts_with(head, "HTTP/1.1 101"))
        fail(conn, "the opening handshake was answered with %.12s", head.size < 12 ? "no HTTP" : head.at);
    else if (!http_has(http_field(head, "Upgrade:"), "websocket") ||
             !http_has(http_field(head, "Connection:"), "upgrade"))
        fail(conn, "the 101 does not upgrade to websocket");
    else if (accept.size != ACCEPT_CHARS || memcmp(accept.at, accept_wanted, ACCEPT_CHARS))
        fail(conn, "the 101 has a wrong Sec-WebSocket-Accept");
    else
        opened(conn, now), plan.mode->on_open(conn, now);
    return head.size;
}

/* Whether the head that was just read is one that may come; otherwise the connection has failed. */
static bool check_head(struct conn *conn)
{
    struct frames *frames = &conn->frames;
    const struct mode *mode = plan.mode;
    if (frames->masked)
        fail(conn, "a frame came masked");
    else if (opcode_of(frames) >= CLOSE && frames->length > MOST_CONTROL)
        fail(conn, "a control frame came with %llu bytes", (unsigned long long)frames->length);
    else if (opcode_of(frames) < CLOSE && mode->first &&
             (frames->first != mode->first || frames->length != plan.size))
        fail(conn, "a frame came with 0x%02x and %llu bytes instead of 0x%02x and %zu", frames->first,
             (unsigned long long)frames->length, mode->first, plan.size);
    return conn->fd >= 0;
}

static void on_frame(struct conn *conn, uint64_t now)
{
    switch (opcode_of(&conn->frames)) {
    case PING:
        answer_ping(conn);
        break;
    case PONG:
        break;
    case CLOSE:
        if (plan.mode->on_close)
            plan.mode->on_close(conn);
        else
            fail(conn, "a Close came before time");
        break;
    default:
        plan.mode->on_message(conn, now);
    }
}

static size_t take_frames(struct conn *conn, const uint8_t *data, size_t size, uint64_t now)
{
    struct frames *frames = &conn->frames;
    const uint8_t *at = data, *stop = data + size;
    while (at < stop && conn->fd >= 0) {
        if (!frames->inside && (!read_head(frames, &at, stop) || !check_head(conn)))
            break;
        size_t taken = (size_t)(stop - at) < frames->left ? (size_t)(stop - at) : frames->left;
        if (opcode_of(frames) >= CLOSE || plan.mode->collects)
            memcpy(conn->payload + frames->length - frames->left, at, taken);
        at += taken;
        frames->left -= taken;
        frames->inside = frames->left;
        if (!frames->inside)
            on_frame(conn, now);
    }
    return size;
}

static size_t take_response(struct conn *conn, const uint8_t *data, size_t size, uint64_t now)
{
    struct response *response = &conn->response;
    size_t taken = read_response(response, (const char *)data, size);
    if (response->at == BROKEN)
        fail(conn, "the response is no HTTP");
    else if (taken && response->status != 200)
        fail(conn, "the response has status %d", response->status);
    else if (response->at == COMPLETE)
        plan.mode->on_response(conn, now);
    return taken;
}

static size_t take(struct conn *conn, const uint8_t *data, size_t size, uint64_t now)
{
    if (!plan.mode->websocket)
        return take_response(conn, data, size, now);
    return conn->opening ? take_upgrade(conn, data, size, now) : take_frames(conn, data, size, now);
}

/* Keeps the beginning of a head until the rest of it comes. */
static void keep(struct conn *conn, const uint8_t *data, size_t size)
{
    free(conn->kept);
    conn->kept = NULL;
    conn->kept_size = size;
    if (!size)
        return;
    if (size > HEAD_SIZE) {
        fail(conn, "the head of the answer is longer than %d bytes", HEAD_SIZE);
        return;
    }
    conn->kept = malloc(size);
    if (!conn->kept)
        die("no memory for a head");
    memcpy(conn->kept, data, size);
}

static void pull(struct conn *conn)
{
    size_t size = conn->kept_size, taken = 0;
    ssize_t got = recv(conn->fd, input + size, sizeof input - size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        if (!plan.mode->on_end || !plan.mode->on_end(conn))
            fail(conn, got ? "%s" : "the peer ended the connection before time", strerror(errno));
        return;
    }
    uint64_t now = now_ns();
    if (size)
        memcpy(input, conn->kept, size);
    size += got;
    while (conn->fd >= 0 && taken < size) {
        size_t some = take(conn, input + taken, size - taken, now);
        if (!some)
            break;
        taken += some;
    }
    if (conn->fd >= 0 && (conn->kept || taken < size))
        keep(conn, input + taken, size - taken);
}

void on_events(struct conn *conn, uint32_t events)
{
    if (conn->fd >= 0 && events & EPOLLOUT)
        push(conn);
    if (conn->fd >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        pull(conn);
}

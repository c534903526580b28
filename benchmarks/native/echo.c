/*
 * echo PORT: the upstream of the benchmark.
 *
 * Strategy: one thread, one level-triggered epoll. A wake-up of a connection is one read into a shared
 * buffer, and one write of everything that it asked for, composed in a second shared buffer.
 *
 * Rules:
 * - A connection owns memory only in the middle of something: of a request head that is not complete, or of
 *   an answer that the socket did not take.
 * - While an answer is stuck, the connection is not read: the peer that does not read is not served.
 * - A frame is never collected. Its head is answered when the head is there, its payload as it comes.
 * - What breaks the protocol ends the connection, without a word.
 */
#define _GNU_SOURCE /* accept4 */

#include "http.h"
#include "process.h"
#include "ticks.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    READ_SIZE = 128 << 10,
    ANSWER_SIZE = 512, /* more than any answer's head */
    REQUEST_SIZE = 16 << 10, /* a longer request head is refused */
    TICK_SIZE = 34, /* bytes of payload */
};

struct conn {
    uint64_t serial;
    bool websocket;
    bool last;            /* ends once everything is sent */
    bool stuck;           /* waits until the socket takes more */
    struct frames frames;
    char *request;        /* what was read of a request and not answered yet */
    size_t request_size;
    char *unsent;         /* what the socket did not take */
    size_t unsent_from, unsent_to;
    const char *body;     /* goes behind it */
    size_t body_size;
};

static struct conn *conns; /* by descriptor */
static char input[READ_SIZE];
static char output[READ_SIZE + ANSWER_SIZE]; /* an answered frame loses its mask, and does not grow */
static size_t output_size;
static char big_body[1 << 20];
static int epoll, listener, timer, spare;
static uint64_t serials;

static void watch(int fd, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, operation, fd, &event))
        die("epoll_ctl: %s", strerror(errno));
}

static void end(int fd)
{
    struct conn *conn = &conns[fd];
    free(conn->request);
    free(conn->unsent);
    *conn = (struct conn){0};
    output_size = 0; /* what was composed for it is not for the next one */
    close(fd);
}

/* Sends, and says how many bytes the socket took; -1: the connection is lost. */
static ssize_t send_some(int fd, const char *data, size_t size, int flags)
{
    ssize_t sent = size ? send(fd, data, size, flags | MSG_NOSIGNAL) : 0;
    return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : sent;
}

/* Keeps what the socket did not take. */
static bool keep_unsent(struct conn *conn, const char *data, size_t size)
{
    conn->unsent = malloc(size);
    if (!conn->unsent)
        return false;
    memcpy(conn->unsent, data, size);
    conn->unsent_from = 0;
    conn->unsent_to = size;
    return true;
}

/* Sends what is unsent, the output, and the body behind it. False: the connection has ended. */
static bool flush(int fd)
{
    struct conn *conn = &conns[fd];
    const char *data = conn->unsent ? conn->unsent + conn->unsent_from : output;
    size_t size = conn->unsent ? conn->unsent_to - conn->unsent_from : output_size;
    output_size = 0;

    ssize_t sent = send_some(fd, data, size, conn->body_size ? MSG_MORE : 0);
    if (sent < 0)
        return end(fd), false;
    if ((size_t)sent < size && !conn->unsent && !keep_unsent(conn, data + sent, size - sent))
        return end(fd), false;
    if ((size_t)sent < size && data != output)
        conn->unsent_from += sent;
    if ((size_t)sent == size) {
        free(conn->unsent);
        conn->unsent = NULL;
        sent = send_some(fd, conn->body, conn->body_size, 0);
        if (sent < 0)
            return end(fd), false;
        conn->body += sent;
        conn->body_size -= sent;
    }
    bool stuck = conn->unsent || conn->body_size;
    if (!stuck && conn->last)
        return end(fd), false;
    if (stuck != conn->stuck)
        watch(fd, EPOLL_CTL_MOD, stuck ? EPOLLOUT : EPOLLIN);
    conn->stuck = stuck;
    return true;
}

static void put(const char *text)
{
    size_t size = strlen(text);
    memcpy(output + output_size, text, size);
    output_size += size;
}

static void begin_ticks(int fd, struct text target)
{
    /* Steps of the golden ratio lie evenly in the interval, however many connections come. */
    static double phase;
    int ms = starts_with(target, "/tick?ms=") ? atoi(target.at + 9) : 0;
    uint64_t every = (ms > 0 ? ms : 1000) * (uint64_t)1000000;
    phase += 0.6180339887498949;
    phase -= (int)phase;
    add_tick((struct tick){now_ns() + (uint64_t)(phase * every), every, conns[fd].serial, fd});
}

static void answer_upgrade(int fd, struct text head, struct text target)
{
    struct conn *conn = &conns[fd];
    char accept[ACCEPT_CHARS + 1];
    accept_for(http_field(head, "Sec-WebSocket-Key:").at, accept);
    put("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    put("Sec-WebSocket-Accept: ");
    put(accept);
    put("\r\n\r\n");
    conn->websocket = true;
    if (starts_with(target, "/tick"))
        begin_ticks(fd, target);
}

static void answer_plain(struct conn *conn, struct text target)
{
    const char *ending = conn->last ? "Connection: close\r\n\r\n" : "\r\n";
    if (starts_with(target, "/small ")) {
        put("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n");
        put(ending);
        put("Hello, world!");
    } else if (starts_with(target, "/big ")) {
        put("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1048576\r\n");
        put(ending);
        conn->body = big_body;
        conn->body_size = sizeof big_body;
    } else {
        put("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n");
        put(ending);
    }
}

/* Answers the request at the beginning of data; returns the size of its head, 0 if that is not complete. */
static size_t answer(int fd, const char *data, size_t size)
{
    struct conn *conn = &conns[fd];
    struct text head = {data, http_head(data, size)};
    if (!head.size)
        return 0;
    bool get = starts_with(head, "GET ");
    struct text target = get ? (struct text){data + 4, head.size - 4} : (struct text){"", 0};
    bool echo = starts_with(target, "/ws ");
    bool tick = starts_with(target, "/tick ") || starts_with(target, "/tick?");
    const char *line_end = memchr(data, '\r', head.size);
    if ((echo || tick) && http_has(http_field(head, "Upgrade:"), "websocket") &&
        http_field(head, "Sec-WebSocket-Key:").size == KEY_CHARS) {
        answer_upgrade(fd, head, target);
    } else {
        conn->last = !get || line_end - data < 8 || memcmp(line_end - 8, "HTTP/1.1", 8) ||
                     http_has(http_field(head, "Connection:"), "close");
        answer_plain(conn, target);
    }
    return head.size;
}

/* The first byte of the frame that answers this one. A pong is not answered at all. */
static uint8_t answer_to(const struct frames *frames)
{
    return opcode_of(frames) == PING ? frames->first ^ PING ^ PONG : frames->first;
}

/* Puts the answer to these bytes of frames in the output. False: they break the protocol. */
static bool answer_frames(struct conn *conn, const uint8_t *at, const uint8_t *stop)
{
    struct frames *frames = &conn->frames;
    uint8_t *out = (uint8_t *)output + output_size;
    while (at < stop && !conn->last) {
        if (!frames->inside) {
            if (!read_head(frames, &at, stop))
                break;
            if (!frames->masked || frames->length >> 63)
                return false;
            if (opcode_of(frames) != PONG)
                out += write_head(out, answer_to(frames), frames->length, NULL);
        }
        size_t size = (size_t)(stop - at) < frames->left ? (size_t)(stop - at) : frames->left;
        if (opcode_of(frames) != PONG) {
            copy_masked(out, at, size, frames->mask, frames->length - frames->left);
            out += size;
        }
        at += size;
        frames->left -= size;
        frames->inside = frames->left;
        if (!frames->inside && opcode_of(frames) == CLOSE)
            conn->last = true;
    }
    output_size = (char *)out - output;
    return true;
}

/* Answers size bytes of the input; what is left of them for later is kept. */
static void serve(int fd, size_t size)
{
    struct conn *conn = &conns[fd];
    size_t done = 0;
    free(conn->request);
    conn->request = NULL;
    conn->request_size = 0;
    while (!conn->websocket && !conn->stuck) {
        size_t head = answer(fd, input + done, size - done);
        done += head;
        if (!head)
            break;
        if (!conn->websocket && !flush(fd))
            return;
    }
    if (conn->websocket) {
        if (answer_frames(conn, (uint8_t *)input + done, (uint8_t *)input + size))
            flush(fd);
        else
            end(fd);
        return;
    }
    conn->request_size = size - done;
    if (conn->request_size > REQUEST_SIZE) {
        end(fd);
    } else if (conn->request_size) {
        conn->request = malloc(conn->request_size);
        if (!conn->request)
            die("no memory for a request");
        memcpy(conn->request, input + done, conn->request_size);
    }
}

static void on_connection(int fd, uint32_t events)
{
    struct conn *conn = &conns[fd];
    if (conn->stuck) {
        if (!flush(fd) || conn->stuck || !conn->request)
            return;
        memcpy(input, conn->request, conn->request_size);
        serve(fd, conn->request_size);
        return;
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    size_t kept = conn->request_size;
    ssize_t got = recv(fd, input + kept, sizeof input - kept, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        end(fd);
        return;
    }
    if (kept)
        memcpy(input, conn->request, kept);
    serve(fd, kept + got);
}

/* Takes new connections. Out of descriptors, it takes them with the spare one and ends them at once. */
static void on_listener(void)
{
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
            close(spare);
            close(accept(listener, NULL, NULL));
            spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
            continue;
        }
        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        conns[fd] = (struct conn){.serial = ++serials};
        watch(fd, EPOLL_CTL_ADD, EPOLLIN);
    }
}

/* Sends the ticks that are due. A connection that is stuck, or in the middle of an echo, goes without. */
static void on_timer(void)
{
    const struct tick *tick;
    uint64_t now = now_ns();
    while ((tick = next_tick()) && tick->when <= now) {
        int fd = tick->fd;
        if (conns[fd].serial != tick->serial) {
            drop_tick();
            continue;
        }
        move_tick(now);
        if (conns[fd].stuck || conns[fd].frames.inside)
            continue;
        output_size = write_head((uint8_t *)output, FIN | TEXT, TICK_SIZE, NULL);
        now = now_ns();
        output_size += sprintf(output + output_size, "%0*" PRIu64, TICK_SIZE, now);
        flush(fd);
    }
}

static void set_timer(void)
{
    static uint64_t set;
    const struct tick *tick = next_tick();
    uint64_t when = tick ? tick->when : 0;
    if (when == set)
        return;
    struct itimerspec at = {.it_value = {(time_t)(when / 1000000000), (long)(when % 1000000000)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
    set = when;
}

static void listen_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096))
        die("cannot listen on 127.0.0.1:%u: %s", port, strerror(errno));
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("{\"port\": %u}\n", ntohs(address.sin_port));
    fflush(stdout);
}

int main(int count, char **arguments)
{
    if (count != 2)
        die("usage: echo PORT (0: the system chooses)");
    uint16_t port = (uint16_t)number("PORT", arguments[1], 0, 65535);
    conns = calloc(raise_descriptors(), sizeof *conns);
    if (!conns)
        die("no memory for the connections");
    memset(big_body, 'x', sizeof big_body);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    int terminate = terminations();
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    listen_on(port);
    watch(terminate, EPOLL_CTL_ADD, EPOLLIN);
    watch(timer, EPOLL_CTL_ADD, EPOLLIN);
    watch(listener, EPOLL_CTL_ADD, EPOLLIN);

    for (;;) {
        struct epoll_event events[256];
        set_timer();
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == terminate)
                return 0;
            else if (fd == listener)
                on_listener();
            else if (fd == timer)
                on_timer();
            else if (conns[fd].serial)
                on_connection(fd, events[i].events);
        }
    }
}

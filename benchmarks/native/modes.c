#include "modes.h"

#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { TICK_SIZE = 34 }; /* bytes of payload */

struct tally tally;
static uint8_t *batch;        /* the frames of one write */
static size_t batch_size;
static uint8_t close_frame[8]; /* Close 1000 */
static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static void count_messages(uint64_t messages, uint64_t latency)
{
    if (!tally.measuring)
        return;
    tally.messages += messages;
    record(&tally.latencies, latency);
}

/* echo */

static void send_batch(struct conn *conn, uint64_t now)
{
    conn->since = now;
    conn->awaited = plan.batch;
    send_all(conn, batch, batch_size);
}

static void open_echo(struct conn *conn, uint64_t now)
{
    if (tally.begun)
        send_batch(conn, now);
}

static void on_echo(struct conn *conn, uint64_t now)
{
    if (!conn->awaited)
        fail(conn, "a frame came that nobody sent");
    else if (!--conn->awaited) {
        count_messages(plan.batch, now - conn->since);
        send_batch(conn, now);
    }
}

/* handshake */

static void open_handshake(struct conn *conn, uint64_t now)
{
    (void)now; /* the latency is that from connect */
    conn->awaited = 1;
    send_all(conn, batch, batch_size);
}

static void on_handshake_echo(struct conn *conn, uint64_t now)
{
    if (!conn->awaited) {
        fail(conn, "a frame came that nobody sent");
        return;
    }
    conn->awaited = 0;
    conn->latency = now - conn->since;
    send_all(conn, close_frame, sizeof close_frame);
}

/* The peer should end the connection now. Ending our half makes one do so that waits for us. */
static void on_handshake_close(struct conn *conn)
{
    if (conn->awaited) {
        fail(conn, "a Close came before time");
        return;
    }
    conn->closed = true;
    conn->since = now_ns();
    shutdown(conn->fd, SHUT_WR);
}

static bool on_handshake_end(struct conn *conn)
{
    if (!conn->closed)
        return false;
    count_messages(1, conn->latency);
    reopen(conn);
    return true;
}

/* http */

static void send_next(struct conn *conn, uint64_t now)
{
    conn->since = now;
    send_request(conn);
}

static void on_response(struct conn *conn, uint64_t now)
{
    bool last = conn->response.last;
    if (conn->opening)
        opened(conn, now);
    count_messages(1, now - conn->since);
    conn->response = (struct response){0};
    if (last) {
        fare.reconnects++;
        reopen(conn);
    } else if (tally.begun) {
        send_next(conn, now);
    }
}

/* A response without a length ends here; and a peer may end a connection between two responses. */
static bool on_http_end(struct conn *conn)
{
    if (conn->response.to_the_end) {
        on_response(conn, now_ns());
        return true;
    }
    if (conn->opening || conn->response.at != HEAD || conn->kept_size)
        return false;
    fare.reconnects++;
    reopen(conn);
    return true;
}

/* idle and tick */

static void do_nothing(struct conn *conn, uint64_t now) { (void)conn, (void)now; }

static void on_tick(struct conn *conn, uint64_t now)
{
    uint64_t sent = 0;
    for (size_t i = 0; i < conn->frames.length; i++) {
        if (conn->payload[i] < '0' || conn->payload[i] > '9') {
            fail(conn, "a tick is no number: %.*s", (int)conn->frames.length, conn->payload);
            return;
        }
        sent = sent * 10 + conn->payload[i] - '0';
    }
    count_messages(1, now > sent ? now - sent : 0);
}

const struct mode *mode_named(const char *name)
{
    static const struct mode modes[] = {
        {.name = "echo", .path = "/ws", .websocket = true, .first = FIN | BINARY,
         .on_open = open_echo, .on_begin = send_batch, .on_message = on_echo},
        {.name = "handshake", .path = "/ws", .websocket = true, .opens_all = true, .first = FIN | BINARY,
         .on_open = open_handshake, .on_message = on_handshake_echo, .on_close = on_handshake_close,
         .on_end = on_handshake_end},
        {.name = "http", .path = "/small", .on_begin = send_next, .on_response = on_response,
         .on_end = on_http_end},
        {.name = "idle", .path = "/ws", .websocket = true, .on_open = do_nothing, .on_message = do_nothing},
        {.name = "tick", .path = "/tick?ms=1000", .websocket = true, .first = FIN | TEXT, .size = TICK_SIZE,
         .collects = true, .on_open = do_nothing, .on_message = on_tick},
    };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (!strcmp(modes[i].name, name))
            return &modes[i];
    }
    return NULL;
}

void make_batch(void)
{
    uint64_t random = 0x9e3779b97f4a7c15;
    batch = malloc(plan.batch * (MOST_HEAD + plan.size));
    if (!batch)
        die("no memory for a batch of %zu frames of %zu bytes", plan.batch, plan.size);
    for (size_t i = 0; i < plan.batch; i++) {
        batch_size += write_head(batch + batch_size, FIN | BINARY, plan.size, mask);
        for (size_t j = 0; j < plan.size; j++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            batch[batch_size++] = (uint8_t)random; /* masked or not, it is random */
        }
    }
    write_head(close_frame, FIN | CLOSE, 2, mask);
    copy_masked(close_frame + 6, (const uint8_t[]){1000 >> 8, 1000 & 255}, 2, mask, 0);
}

uint64_t count_stalled(uint64_t now)
{
    uint64_t stalled = 0;
    for (unsigned i = 0; i < plan.connections; i++)
        stalled += conns[i].closed && now > conns[i].since + 1000000000;
    if (stalled)
        strcpy(fare.reason, "the peer answered a Close and did not end the connection");
    return stalled;
}

void say_goodbye(void)
{
    if (!plan.mode->websocket || plan.mode->on_close) /* a mode that takes a Close sends its own */
        return;
    for (unsigned i = 0; i < plan.connections; i++) {
        struct conn *conn = &conns[i];
        if (conn->fd >= 0 && !conn->opening && !conn->out_size)
            send_all(conn, close_frame, sizeof close_frame);
    }
}

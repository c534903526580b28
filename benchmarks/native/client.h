/*
 * The connections of the downstream: opening, sending, reading, and what happens when one fails.
 *
 * Strategy: one thread, one level-triggered epoll. A wake-up of a connection is one read into a shared
 * buffer. What is sent lies in buffers that all connections share; each only knows where in one it stands.
 * What the connections talk about is the mode's business.
 *
 * Rules:
 * - A function that ends a connection leaves conn->fd at -1. Who called it looks there before going on.
 * - A connection that failed is opened again, but not before 100 ms have passed.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "http.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct conn {
    int fd;              /* -1: there is no connection */
    unsigned index;
    bool opening;        /* from connect until the mode calls opened */
    bool was_open;       /* at least once */
    uint32_t watched;    /* epoll events */
    struct conn *next;   /* in a queue of those to be opened */
    uint64_t since;      /* when the round trip began, or the opening, or the wait for the end, ns */
    const uint8_t *out;  /* what is still to be sent */
    size_t out_size;
    char *kept;          /* of a head that is not complete */
    size_t kept_size;
    struct frames frames;
    struct response response;
    uint64_t awaited;    /* frames of this round trip that are still to come */
    uint64_t latency;    /* handshake: of the echo, ns */
    bool closed;         /* handshake: the Close has come back */
    uint8_t payload[MOST_CONTROL]; /* of a control frame or a tick */
    uint8_t pong[MOST_HEAD + MOST_CONTROL];
    size_t pong_size;    /* of a pong that waits for the end of a write */
};

/* What a mode does with its connections. */
struct mode {
    const char *name;
    const char *path;    /* of the request, unless the command line has one */
    bool websocket;
    bool opens_all;      /* at the same time, not 64 at a time */
    uint8_t first;       /* of a data frame, which must also be of --size bytes; 0: any frame may come */
    size_t size;         /* in place of --size; 0: --size */
    bool collects;       /* the payload of data frames is read into conn->payload */
    void (*on_open)(struct conn *conn, uint64_t now);
    void (*on_begin)(struct conn *conn, uint64_t now);   /* all are open; NULL: nothing is to be done */
    void (*on_message)(struct conn *conn, uint64_t now); /* a data frame has come */
    void (*on_response)(struct conn *conn, uint64_t now); /* to send_request; only without websocket */
    void (*on_close)(struct conn *conn);                 /* a Close has come; NULL: it is an error */
    bool (*on_end)(struct conn *conn); /* the peer ended the connection; false, or NULL: it is an error */
};

/* What the command line says. */
struct plan {
    const struct mode *mode;
    uint16_t port;
    unsigned connections;
    unsigned most_opening; /* connections at a time */
    const char *host, *path;
    size_t batch, size;
    double warmup, seconds;
};
extern struct plan plan;

/* How the connections fare. */
struct fare {
    unsigned opened;       /* connections that were open at least once */
    uint64_t last_opened;  /* when the latest of them was */
    uint64_t errors, reconnects;
    char reason[200];      /* of the last error */
};
extern struct fare fare;

extern struct conn *conns;
extern int epoll;

void make_connections(void);

/* Opens as many of those that wait as may be opened at a time. */
void open_waiting(void);

bool any_failed(void);

/* Lets those that failed be opened again. */
void retry_failed(void);

void on_events(struct conn *conn, uint32_t events);

/* The connection is open: the mode has seen that the peer answers. */
void opened(struct conn *conn, uint64_t now);

/* Sends these bytes, which must not change. */
void send_all(struct conn *conn, const uint8_t *data, size_t size);

/* Sends the request for the path once more. */
void send_request(struct conn *conn);

/* Ends the connection and opens it anew. */
void reopen(struct conn *conn);

/* Counts an error, ends the connection, and opens it anew after a while. */
void fail(struct conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

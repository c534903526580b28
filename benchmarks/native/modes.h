/* The modes of the downstream: what its connections send, and what of the answers counts. */
#ifndef MODES_H
#define MODES_H

#include "client.h"
#include "histogram.h"

extern struct tally {
    bool begun;     /* all connections are open: they may send */
    bool measuring; /* messages count */
    uint64_t messages;
    struct histogram latencies;
} tally;

/* The mode of that name, or NULL. */
const struct mode *mode_named(const char *name);

/* Makes the frames of one write, as the plan has them. */
void make_batch(void);

/* Handshakes whose Close was answered more than a second ago, by a peer that does not end the connection. */
uint64_t count_stalled(uint64_t now);

/* Sends a Close to whom it can be sent at once: a peer takes the end without one for an accident. */
void say_goodbye(void);

#endif

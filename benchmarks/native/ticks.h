/* What is due when: a heap of the ticks of many connections. */
#ifndef TICKS_H
#define TICKS_H

#include <stdint.h>

struct tick {
    uint64_t when; /* CLOCK_MONOTONIC, ns */
    uint64_t every; /* ns */
    uint64_t serial; /* of the connection: a descriptor alone may have been given to another since */
    int fd;
};

void add_tick(struct tick tick);

/* The tick that is due first, or NULL. */
const struct tick *next_tick(void);

/* Moves the first tick on to its next time after now. */
void move_tick(uint64_t now);

/* Takes the first tick away. */
void drop_tick(void);

#endif

/* What both programs want of the system: the clock, descriptors, and a clear end. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC, in nanoseconds. */
static inline uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Raises the soft limit of open descriptors to the hard one (a million at most) and returns it. */
unsigned raise_descriptors(void);

/* A descriptor that becomes readable when SIGTERM comes, which does nothing else from then on. */
int terminations(void);

/* A number from the command line; anything but least to most ends the program. */
double number(const char *what, const char *text, double least, double most);

/* Ends the program with status 1 and one line on standard error. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

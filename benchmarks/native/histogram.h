/* Latencies in log-linear buckets: 128 for each power of two, which is a resolution of 1 %. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

enum { LEAST_POWER = 9, MOST_POWER = 36, PER_POWER = 128 }; /* 1 us lies above 2^9 ns, 100 s below 2^37 */

struct histogram {
    uint64_t count;
    uint64_t most; /* ns, exact */
    uint64_t buckets[(MOST_POWER - LEAST_POWER + 1) * PER_POWER];
};

/* Counts one latency; what is shorter than 1 us or longer than 100 s counts as that. */
void record(struct histogram *histogram, uint64_t ns);

/* The latency in us that this part (0 to 1) of all do not exceed; 0 if there are none. */
double percentile(const struct histogram *histogram, double part);

#endif

#include "histogram.h"

#include <stddef.h>

static const uint64_t least_ns = 1000, most_ns = 100000000000;

void record(struct histogram *histogram, uint64_t ns)
{
    ns = ns < least_ns ? least_ns : ns > most_ns ? most_ns : ns;
    int power = 63 - __builtin_clzll(ns);
    size_t within = (size_t)(ns >> (power - 7)) & (PER_POWER - 1);
    histogram->buckets[(size_t)(power - LEAST_POWER) * PER_POWER + within]++;
    histogram->count++;
    if (ns > histogram->most)
        histogram->most = ns;
}

double percentile(const struct histogram *histogram, double part)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < sizeof histogram->buckets / sizeof *histogram->buckets; i++) {
        seen += histogram->buckets[i];
        if (!seen || seen < part * histogram->count)
            continue;
        double power = (double)((uint64_t)1 << (i / PER_POWER + LEAST_POWER));
        double middle = power * (1 + (i % PER_POWER + 0.5) / PER_POWER);
        return (middle < histogram->most ? middle : histogram->most) / 1000;
    }
    return 0;
}

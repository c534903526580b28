#include "ticks.h"

#include "process.h"

#include <stdlib.h>

static struct tick *heap; /* each is due no later than its children, at 2i + 1 and 2i + 2 */
static size_t count, room;

void add_tick(struct tick tick)
{
    if (count == room) {
        room = room ? 2 * room : 1024;
        heap = realloc(heap, room * sizeof *heap);
        if (!heap)
            die("no memory for %zu ticking connections", room);
    }
    size_t at = count++;
    for (; at && heap[(at - 1) / 2].when > tick.when; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = tick;
}

const struct tick *next_tick(void) { return count ? heap : NULL; }

/* Lets a tick sink from the top to its place. */
static void sink(struct tick tick)
{
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1].when < heap[child].when)
            child++;
        if (heap[child].when >= tick.when)
            break;
        heap[at] = heap[child];
    }
    heap[at] = tick;
}

void move_tick(uint64_t now)
{
    struct tick tick = heap[0];
    tick.when += ((now - tick.when) / tick.every + 1) * tick.every;
    sink(tick);
}

void drop_tick(void)
{
    if (--count)
        sink(heap[count]);
}

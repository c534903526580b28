/*
 * load MODE --port P: the downstream of the benchmark. --help tells the modes and options.
 *
 * A run is opened (each connection has been open once, or none has been opened for ten seconds), warms up, is
 * measured, and ends. Everything is counted in the measured window, but for errors: they are counted from the
 * first connection that opens on, because what goes wrong in the warm-up makes the figures as doubtful.
 */
#define _GNU_SOURCE

#include "modes.h"
#include "process.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

static const char usage[] =
    "usage: load MODE --port P [options]\n"
    "\n"
    "  echo       WebSockets on /ws; each sends --batch frames of --size bytes, and more when all are back\n"
    "  handshake  connects, opens a WebSocket, echoes one message, closes, and starts anew\n"
    "  http       GET --path on connections that are kept alive\n"
    "  idle       opens WebSockets and holds them until SIGTERM or the end of standard input\n"
    "  tick       WebSockets on /tick, whose frames tell when they were sent\n"
    "\n"
    "  --connections N (32)  --warmup S (0.5)  --seconds S (2)  --host-header TEXT (localhost:P)\n"
    "  --batch B (1)  --size BYTES (128)  --path PATH (/small)\n";

enum { SPARE = 16 }; /* descriptors that are no connections */

static const uint64_t patience = 10000000000; /* ns without a connection that opens */
static const uint64_t retry_every = 100000000; /* ns */

static struct run {
    enum { OPENING, HOLDING, WARMING, MEASURING } phase;
    uint64_t until; /* when the phase ends at the latest, ns */
    uint64_t began; /* when it began */
    double cpu;     /* s, at that time */
} run;

static double cpu_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    struct timeval user = used.ru_utime, system = used.ru_stime;
    return user.tv_sec + system.tv_sec + (user.tv_usec + system.tv_usec) / 1e6;
}

/* All are open, or no more will be: says so, or lets them send. */
static void begin(uint64_t now)
{
    bool idle = !strcmp(plan.mode->name, "idle");
    const char *reason = *fare.reason ? fare.reason : "the peer does not answer";
    if (!fare.opened)
        die("nothing could be opened on 127.0.0.1:%u within 10 s: %s", plan.port, reason);
    if (idle && fare.opened < plan.connections)
        die("only %u of %u connections could be opened: %s", fare.opened, plan.connections, reason);
    if (idle) {
        printf("{\"event\":\"open\",\"connections\":%u}\n", plan.connections);
        fflush(stdout);
        run.phase = HOLDING;
        run.until = UINT64_MAX;
        return;
    }
    run.phase = WARMING;
    run.until = now + (uint64_t)(plan.warmup * 1e9);
    tally.begun = true;
    for (unsigned i = 0; i < plan.connections; i++) {
        if (plan.mode->on_begin && conns[i].fd >= 0 && !conns[i].opening)
            plan.mode->on_begin(&conns[i], now_ns());
    }
}

static void start_measuring(uint64_t now)
{
    printf("{\"event\":\"start\"}\n");
    fflush(stdout);
    run.phase = MEASURING;
    run.began = now;
    run.until = now + (uint64_t)(plan.seconds * 1e9);
    run.cpu = cpu_seconds();
    fare.reconnects = 0;
    tally.measuring = true;
}

static void stop_measuring(uint64_t now)
{
    const struct histogram *latencies = &tally.latencies;
    fare.errors += count_stalled(now);
    printf("{\"event\":\"end\",\"messages\":%" PRIu64 ",\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"p999_us\":%.1f,\"max_us\":%.1f,\"cpu_seconds\":%.6f,\"errors\":%" PRIu64 ","
           "\"reconnects\":%" PRIu64 "}\n",
           tally.messages, (now - run.began) / 1e9, percentile(latencies, 0.5), percentile(latencies, 0.99),
           percentile(latencies, 0.999), latencies->most / 1e3, cpu_seconds() - run.cpu, fare.errors,
           fare.reconnects);
    fflush(stdout);
}

/* Goes to the next phase if it is time. False: the run is over. */
static bool advance(uint64_t now)
{
    if (run.phase == OPENING) {
        run.until = fare.last_opened + patience;
        if (fare.opened == plan.connections || now >= run.until)
            begin(now);
    } else if (now >= run.until && run.phase == WARMING) {
        start_measuring(now);
    } else if (now >= run.until && run.phase == MEASURING) {
        stop_measuring(now);
        return false;
    }
    return true;
}

/* Idle ends by SIGTERM, or at the end of standard input if that is something to wait for. */
static void watch_for_the_end(void)
{
    struct epoll_event terminate = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, terminations(), &terminate);
    struct epoll_event standard_input = {.events = EPOLLIN, .data.ptr = &run};
    epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &standard_input);
}

/* False: this event ends the run. */
static bool handle(struct epoll_event event)
{
    char ignored[4096];
    if (!event.data.ptr)
        return false;
    if (event.data.ptr == &run)
        return read(STDIN_FILENO, ignored, sizeof ignored) > 0;
    on_events(event.data.ptr, event.events);
    return true;
}

static void drive(void)
{
    uint64_t retry_at = UINT64_MAX;
    struct epoll_event events[256];
    fare.last_opened = now_ns();
    for (;;) {
        uint64_t now = now_ns();
        if (now >= retry_at) {
            retry_failed();
            retry_at = UINT64_MAX;
        }
        open_waiting();
        if (!advance(now))
            return;
        if (any_failed() && retry_at == UINT64_MAX)
            retry_at = now + retry_every;
        uint64_t until = retry_at < run.until ? retry_at : run.until;
        int timeout = until == UINT64_MAX ? -1 : until <= now ? 0 : (int)((until - now) / 1000000 + 1);
        int ready = epoll_wait(epoll, events, 256, timeout);
        for (int i = 0; i < ready; i++) {
            if (!handle(events[i]))
                return;
        }
    }
}

/* Reads one option into the plan. */
static void set_option(int option, const char *text)
{
    switch (option) {
    case 'p': plan.port = (uint16_t)number("--port", text, 1, 65535); break;
    case 'c': plan.connections = (unsigned)number("--connections", text, 1, 1000000); break;
    case 'w': plan.warmup = number("--warmup", text, 0, 3600); break;
    case 's': plan.seconds = number("--seconds", text, 0.001, 86400); break;
    case 'h': plan.host = text; break;
    case 'b': plan.batch = (size_t)number("--batch", text, 1, 1000000); break;
    case 'z': plan.size = (size_t)number("--size", text, 0, 1 << 30); break;
    case 't': plan.path = text; break;
    default: die("%s is no option, or lacks its value; --help tells the options", text);
    }
}

static void read_arguments(int count, char **arguments)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},     {"connections", required_argument, NULL, 'c'},
        {"warmup", required_argument, NULL, 'w'},   {"seconds", required_argument, NULL, 's'},
        {"host-header", required_argument, NULL, 'h'}, {"batch", required_argument, NULL, 'b'},
        {"size", required_argument, NULL, 'z'},     {"path", required_argument, NULL, 't'},
        {"help", no_argument, NULL, '?' + 128},     {NULL, 0, NULL, 0},
    };
    opterr = 0;
    plan = (struct plan){.connections = 32, .warmup = 0.5, .seconds = 2, .batch = 1, .size = 128};
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        if (option == '?' + 128) {
            fputs(usage, stdout);
            exit(0);
        }
        set_option(option, option == '?' ? arguments[optind - 1] : optarg);
    }
    if (optind != count - 1 || !(plan.mode = mode_named(arguments[optind])))
        die("give one MODE: echo, handshake, http, idle or tick");
    if (!plan.port)
        die("--port is missing");
}

static void complete_plan(void)
{
    static char host[32];
    snprintf(host, sizeof host, "localhost:%u", plan.port);
    if (!plan.host)
        plan.host = host;
    if (!plan.path)
        plan.path = plan.mode->path;
    if (plan.mode->size)
        plan.size = plan.mode->size;
    plan.most_opening = plan.mode->opens_all ? plan.connections : 64;
    if (plan.batch * plan.size > (size_t)1 << 30)
        die("--batch times --size is more than a gigabyte");
    unsigned descriptors = raise_descriptors();
    if (plan.connections + SPARE > descriptors)
        die("%u connections do not fit into %u descriptors (ulimit -Hn)", plan.connections, descriptors);
}

int main(int count, char **arguments)
{
    read_arguments(count, arguments);
    complete_plan();
    make_batch();
    make_connections();
    if (!strcmp(plan.mode->name, "idle"))
        watch_for_the_end();
    drive();
    say_goodbye();
    if (fare.errors)
        fprintf(stderr, "load: %" PRIu64 " errors, the last one: %s\n", fare.errors, fare.reason);
    return 0;
}

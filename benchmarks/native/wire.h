/* The WebSocket wire (RFC 6455), pure: the answer to a handshake's key, frame heads, masking. */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opcode { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

enum {
    FIN = 0x80,       /* in a frame's first byte: the last fragment of its message */
    MOST_HEAD = 14,   /* bytes: 2, then 8 of length, then 4 of masking key */
    MOST_CONTROL = 125, /* bytes of payload in a control frame (section 5.5) */
    KEY_CHARS = 24,
    ACCEPT_CHARS = 28,
};

/* Writes the Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2), ended by a zero byte. */
void accept_for(const char key[KEY_CHARS], char accept[ACCEPT_CHARS + 1]);

/* Where a reader stands in a stream of frames. All zero is the beginning of the stream. */
struct frames {
    uint64_t length;     /* of the payload of the frame whose head was read last */
    uint64_t left;       /* bytes of it that are still to come */
    bool inside;         /* between a head and the end of its payload */
    bool masked;
    uint8_t first;       /* FIN, reserved bits and opcode */
    uint8_t mask[4];
    uint8_t kept_size;
    uint8_t kept[MOST_HEAD]; /* a head that is not complete yet */
};

/* Reads a head at *at and moves *at behind it. False: it is not complete, all bytes up to end are kept. */
bool read_head(struct frames *frames, const uint8_t **at, const uint8_t *end);

static inline unsigned opcode_of(const struct frames *frames) { return frames->first & 15; }

/* Writes a head, with a masking key unless mask is NULL; returns its size in bytes. */
size_t write_head(uint8_t *out, uint8_t first, uint64_t length, const uint8_t *mask);

/* Copies size bytes and masks or unmasks them, position bytes behind the payload's beginning. */
void copy_masked(uint8_t *restrict to, const uint8_t *restrict from, size_t size, const uint8_t mask[4],
                 uint64_t position);

#endif

#include "wire.h"

#include <endian.h>
#include <string.h>

static uint32_t rotated(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

/* One block of SHA-1 (FIPS 180-4, section 6.1.2). */
static void sha1_block(uint32_t hash[5], const uint8_t block[64])
{
    uint32_t words[80];
    for (int i = 0; i < 16; i++) {
        memcpy(&words[i], block + 4 * i, 4);
        words[i] = be32toh(words[i]);
    }
    for (int i = 16; i < 80; i++)
        words[i] = rotated(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);

    uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    for (int i = 0; i < 80; i++) {
        uint32_t mixed = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                         : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                         : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                                  : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t next = rotated(a, 5) + mixed + e + words[i];
        e = d, d = c, c = rotated(b, 30), b = a, a = next;
    }
    hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d, hash[4] += e;
}

/* SHA-1 of the 60 bytes of a key and its suffix: with the padding, always two blocks. */
static void sha1_of_key(const uint8_t text[60], uint8_t digest[20])
{
    uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t blocks[128] = {0};
    memcpy(blocks, text, 60);
    blocks[60] = 0x80;
    blocks[126] = (60 * 8) >> 8;
    blocks[127] = (60 * 8) & 255;
    sha1_block(hash, blocks);
    sha1_block(hash, blocks + 64);
    for (int i = 0; i < 5; i++) {
        uint32_t word = htobe32(hash[i]);
        memcpy(digest + 4 * i, &word, 4);
    }
}

void accept_for(const char key[KEY_CHARS], char accept[ACCEPT_CHARS + 1])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t text[60], digest[21] = {0};
    memcpy(text, key, KEY_CHARS);
    memcpy(text + KEY_CHARS, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    sha1_of_key(text, digest);
    for (int i = 0; i < 7; i++) {
        uint32_t three = (uint32_t)digest[3 * i] << 16 | digest[3 * i + 1] << 8 | digest[3 * i + 2];
        for (int j = 0; j < 4; j++)
            accept[4 * i + j] = alphabet[three >> (18 - 6 * j) & 63];
    }
    accept[ACCEPT_CHARS - 1] = '='; /* 20 bytes are 27 characters */
    accept[ACCEPT_CHARS] = 0;
}

/* The size of the head that begins with these size bytes; what is not there yet counts as the least. */
static size_t head_size(const uint8_t *head, size_t size)
{
    if (size < 2)
        return 2;
    unsigned length = head[1] & 127;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + (head[1] & 128 ? 4 : 0);
}

static void parse_head(struct frames *frames, const uint8_t *head)
{
    size_t at = 2;
    frames->first = head[0];
    frames->length = head[1] & 127;
    if (frames->length == 126) {
        frames->length = (uint64_t)head[2] << 8 | head[3];
        at = 4;
    } else if (frames->length == 127) {
        memcpy(&frames->length, head + 2, 8);
        frames->length = be64toh(frames->length);
        at = 10;
    }
    frames->masked = head[1] & 128;
    if (frames->masked)
        memcpy(frames->mask, head + at, 4);
    frames->left = frames->length;
    frames->inside = true;
    frames->kept_size = 0;
}

bool read_head(struct frames *frames, const uint8_t **at, const uint8_t *end)
{
    size_t size = end - *at;
    if (!frames->kept_size && size >= head_size(*at, size)) {
        parse_head(frames, *at);
        *at += head_size(*at, size);
        return true;
    }
    while (*at < end) {
        frames->kept[frames->kept_size++] = *(*at)++;
        if (frames->kept_size >= head_size(frames->kept, frames->kept_size)) {
            parse_head(frames, frames->kept);
            return true;
        }
    }
    return false;
}

size_t write_head(uint8_t *out, uint8_t first, uint64_t length, const uint8_t *mask)
{
    uint8_t masked = mask ? 128 : 0;
    size_t size = 2;
    out[0] = first;
    if (length < 126) {
        out[1] = masked | (uint8_t)length;
    } else if (length < 65536) {
        uint16_t wire = htobe16((uint16_t)length);
        out[1] = masked | 126;
        memcpy(out + 2, &wire, 2);
        size = 4;
    } else {
        uint64_t wire = htobe64(length);
        out[1] = masked | 127;
        memcpy(out + 2, &wire, 8);
        size = 10;
    }
    if (mask) {
        memcpy(out + size, mask, 4);
        size += 4;
    }
    return size;
}

void copy_masked(uint8_t *restrict to, const uint8_t *restrict from, size_t size, const uint8_t mask[4],
                 uint64_t position)
{
    uint8_t turned[8];
    uint64_t key, eight;
    for (int i = 0; i < 8; i++)
        turned[i] = mask[(position + i) & 3];
    memcpy(&key, turned, 8);
    size_t at = 0;
    for (; at + 8 <= size; at += 8) {
        memcpy(&eight, from + at, 8);
        eight ^= key;
        memcpy(to + at, &eight, 8);
    }
    for (; at < size; at++)
        to[at] = from[at] ^ turned[at & 7];
}

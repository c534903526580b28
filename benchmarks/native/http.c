#define _GNU_SOURCE /* memmem */
#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool starts_with(struct text text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text.size >= size && !memcmp(text.at, prefix, size);
}

size_t http_head(const char *data, size_t size)
{
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    return end ? (size_t)(end - data) + 4 : 0;
}

struct text http_field(struct text head, const char *name)
{
    size_t name_size = strlen(name);
    const char *end = head.at + head.size;
    const char *line = memchr(head.at, '\n', head.size);
    for (; line && ++line < end; line = memchr(line, '\n', end - line)) {
        if ((size_t)(end - line) <= name_size || strncasecmp(line, name, name_size))
            continue;
        const char *at = line + name_size;
        const char *stop = memchr(at, '\r', end - at);
        while (at < stop && (*at == ' ' || *at == '\t'))
            at++;
        while (at < stop && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        return (struct text){at, stop ? (size_t)(stop - at) : 0};
    }
    return (struct text){NULL, 0};
}

bool http_has(struct text value, const char *token)
{
    size_t size = strlen(token);
    for (size_t at = 0; at + size <= value.size; at++) {
        if (strncasecmp(value.at + at, token, size))
            continue;
        char before = at ? value.at[at - 1] : ',';
        char after = at + size < value.size ? value.at[at + size] : ',';
        if (strchr(", \t", before) && strchr(", \t", after))
            return true;
    }
    return false;
}

static size_t read_response_head(struct response *response, const char *data, size_t size)
{
    struct text head = {data, http_head(data, size)};
    if (!head.size)
        return 0;
    if (!starts_with(head, "HTTP/1.") || head.size < 12) {
        response->at = BROKEN;
        return head.size;
    }
    struct text length = http_field(head, "Content-Length:");
    response->status = atoi(data + 9);
    response->last = http_has(http_field(head, "Connection:"), "close") || starts_with(head, "HTTP/1.0");
    if (http_has(http_field(head, "Transfer-Encoding:"), "chunked")) {
        response->chunked = true;
        response->at = CHUNK_SIZE;
    } else if (length.size) {
        response->left = strtoull(length.at, NULL, 10);
        response->at = response->left ? BODY : COMPLETE;
    } else {
        response->at = BODY;
        response->left = UINT64_MAX;
        response->to_the_end = response->last = true;
    }
    return head.size;
}

static int hex_digit(char digit)
{
    char lower = digit | 32;
    return digit >= '0' && digit <= '9' ? digit - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* One character outside the data of the chunks (section 7.1). */
static void read_between_chunks(struct response *response, char c)
{
    switch (response->at) {
    case CHUNK_SIZE:
        if (hex_digit(c) >= 0) {
            response->left = response->left << 4 | hex_digit(c);
            break;
        }
        response->at = CHUNK_REST; /* an extension, or the end of the line */
        /* fall through */
    case CHUNK_REST:
        if (c == '\n')
            response->at = response->left ? BODY : TRAILER;
        break;
    case CHUNK_END:
        if (c == '\n')
            response->at = CHUNK_SIZE;
        break;
    default:
        if (c != '\n')
            response->line += c != '\r';
        else if (response->line)
            response->line = 0;
        else
            response->at = COMPLETE;
    }
}

size_t read_response(struct response *response, const char *data, size_t size)
{
    if (response->at == HEAD)
        return read_response_head(response, data, size);
    size_t at = 0;
    while (at < size && response->at < COMPLETE) {
        if (response->at != BODY) {
            read_between_chunks(response, data[at++]);
            continue;
        }
        size_t taken = size - at < response->left ? size - at : response->left;
        at += taken;
        response->left -= taken;
        if (!response->left)
            response->at = response->chunked ? CHUNK_END : COMPLETE;
    }
    return at;
}

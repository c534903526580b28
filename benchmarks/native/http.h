/* HTTP/1.1 (RFC 9112) as far as the tools need it, pure: heads, fields, and the end of a response. */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    const char *at;
    size_t size;
};

bool starts_with(struct text text, const char *prefix);

/* The size of the head at the beginning of data, the empty line included; 0: it is not complete. */
size_t http_head(const char *data, size_t size);

/* The first field of that name (which is given with its colon); size 0: there is none. */
struct text http_field(struct text head, const char *name);

/* Whether a comma-separated value holds the token; upper and lower case are the same. */
bool http_has(struct text value, const char *token);

/* Where a reader stands in a response. All zero is before its head. */
struct response {
    enum { HEAD, BODY, CHUNK_SIZE, CHUNK_REST, CHUNK_END, TRAILER, COMPLETE, BROKEN } at;
    int status;
    bool chunked;
    bool last;       /* the peer closes the connection behind it */
    bool to_the_end; /* the end of the connection ends it */
    uint64_t left;   /* bytes of the body, or of the chunk, that are still to come */
    size_t line;     /* characters in this line of the trailer */
};

/* Takes what it can of the size bytes, and says how many that were; stops behind the response. */
size_t read_response(struct response *response, const char *data, size_t size);

#endif

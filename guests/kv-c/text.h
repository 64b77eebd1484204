// Text that knows its length, memory that lives as long as one call of the host, and text that grows.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Not ended by a zero byte, and never changed.
typedef struct {
    const char *at;
    size_t len;
} text;

#define T(literal) ((text){(literal), sizeof(literal) - 1})

// Memory until the host's call returns. Without any left the component ends here, which the host reports.
void *take(size_t bytes);
void give_all_back(void);

bool same(text a, text b);
bool starts_with(text whole, text start);
text from(text whole, size_t at);
text trimmed(text whole);
// Less than, equal to or greater than zero, as the bytes sort.
int order(text a, text b);

typedef struct {
    char *at;
    size_t len, room;
} builder;

void add(builder *to, text more);
void add_byte(builder *to, char byte);
void add_number(builder *to, int64_t number);
text built(const builder *from);

// All parts, one after the other.
text joined(size_t count, const text parts[]);
#define JOINED(...) joined(sizeof((text[]){__VA_ARGS__}) / sizeof(text), (text[]){__VA_ARGS__})
text number_text(int64_t number);

// A whole number of 64 bits in decimal digits, with or without a sign.
bool parse_number(text digits, int64_t *number);

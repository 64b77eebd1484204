// Text that knows its length, memory that lives as long as one call of the host, and text that grows.
#include "text.h"

#include <stdlib.h>
#include <string.h>

static constexpr size_t BLOCK_BYTES = 16 << 10;

typedef struct block {
    struct block *older;
    size_t used, room;
    alignas(max_align_t) char bytes[];
} block;

static block *newest;

static block *new_block(size_t room) {
    block *made = malloc(sizeof(block) + room);
    if (made == nullptr) __builtin_trap();
    *made = (block){.older = newest, .used = 0, .room = room};
    newest = made;
    return made;
}

void *take(size_t bytes) {
    constexpr size_t step = alignof(max_align_t);
    if (bytes > SIZE_MAX - BLOCK_BYTES) __builtin_trap();
    size_t rounded = (bytes + step - 1) / step * step;
    block *from_block = newest;
    if (from_block == nullptr || from_block->room - from_block->used < rounded) {
        from_block = new_block(rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES);
    }
    void *taken = from_block->bytes + from_block->used;
    from_block->used += rounded;
    return taken;
}

void give_all_back(void) {
    while (newest != nullptr) {
        block *older = newest->older;
        free(newest);
        newest = older;
    }
}

bool same(text a, text b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool starts_with(text whole, text start) {
    return whole.len >= start.len && same((text){whole.at, start.len}, start);
}

text from(text whole, size_t at) { return (text){whole.at + at, whole.len - at}; }

text trimmed(text whole) {
    while (whole.len > 0 && strchr(" \t\n\r\v\f", whole.at[0]) != nullptr && whole.at[0] != 0) {
        whole = from(whole, 1);
    }
    while (whole.len > 0 && whole.at[whole.len - 1] != 0 &&
           strchr(" \t\n\r\v\f", whole.at[whole.len - 1]) != nullptr) {
        whole.len--;
    }
    return whole;
}

int order(text a, text b) {
    size_t len = a.len < b.len ? a.len : b.len;
    int first = len == 0 ? 0 : memcmp(a.at, b.at, len);
    return first != 0 ? first : (a.len > b.len) - (a.len < b.len);
}

void add(builder *to, text more) {
    if (more.len == 0) return;
    if (to->room - to->len < more.len) {
        size_t room = (to->len + more.len) * 2;
        char *larger = take(room);
        if (to->len > 0) memcpy(larger, to->at, to->len);
        *to = (builder){.at = larger, .len = to->len, .room = room};
    }
    memcpy(to->at + to->len, more.at, more.len);
    to->len += more.len;
}

void add_byte(builder *to, char byte) { add(to, (text){&byte, 1}); }

void add_number(builder *to, int64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) digits[--at] = '-';
    add(to, (text){digits + at, sizeof digits - at});
}

text built(const builder *from_builder) { return (text){from_builder->at, from_builder->len}; }

text joined(size_t count, const text parts[]) {
    builder all = {};
    for (size_t i = 0; i < count; i++) add(&all, parts[i]);
    return built(&all);
}

text number_text(int64_t number) {
    builder digits = {};
    add_number(&digits, number);
    return built(&digits);
}

bool parse_number(text digits, int64_t *number) {
    bool negative = digits.len > 0 && digits.at[0] == '-';
    if (negative || (digits.len > 0 && digits.at[0] == '+')) digits = from(digits, 1);
    if (digits.len == 0) return false;
    int64_t sum = 0;
    for (size_t i = 0; i < digits.len; i++) {
        int digit = digits.at[i] - '0';
        if (digit < 0 || digit > 9) return false;
        if (__builtin_mul_overflow(sum, (int64_t)10, &sum)) return false;
        // Summed up below zero, where there is one more number.
        if (__builtin_sub_overflow(sum, (int64_t)digit, &sum)) return false;
    }
    if (!negative && __builtin_sub_overflow((int64_t)0, sum, &sum)) return false;
    *number = sum;
    return true;
}

// Reads what a client sent for a field. Clients are loose about types, so what is unambiguous is accepted as OpenBao's
// framework accepts it (`"10"` for 10, `"true"` for true). A refusal names both types and never the value.
#pragma once

#include "call.h"

typedef enum {
    FIELD_STRING,
    FIELD_INT,
    FIELD_BOOL,
    FIELD_DURATION,
    FIELD_SIGNED_DURATION,
    FIELD_MAP,
    FIELD_INTS,
} field_kind;

// A field that a path takes, with its description for help.
typedef struct {
    text name;
    field_kind kind;
    text description;
} field;

// The word that help shows.
text field_word(field_kind kind);

// Refuses the call when what the client gave does not fit. Whoever reads a field afterwards finds a good one.
bool field_check(call *it, const field *wanted);

// The JSON that the client gave, none for nothing and for `null`.
const json *field_json(const call *it, text name);
// Whether the client gave `null`.
bool field_is_null(const call *it, text name);

text field_string(const call *it, text name);
bool field_int(const call *it, text name, int64_t *number);
bool field_bool(const call *it, text name, bool *flag);
// Either kind of duration, in seconds.
bool field_seconds(const call *it, text name, int64_t *seconds);

// Values by themselves. Each gives the words of a mismatch, empty when it fits.
text read_text(const json *value, text *says);
text read_int(const json *value, int64_t *number);

// What a list of numbers has, one after the other: a list, a number, or text with commas.
typedef struct {
    const json *item;
    bool is_list;
    text rest;
} ints;

ints field_ints(const call *it, text name);
bool next_int(ints *list, int64_t *number);

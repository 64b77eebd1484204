// JSON (RFC 8259) whose numbers keep their digits: each value knows the text that it was.
#pragma once

#include "text.h"

typedef enum {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_TEXT,
    JSON_LIST,
    JSON_OBJECT,
} json_kind;

typedef struct json {
    json_kind kind;
    // The whole value as it was written.
    text raw;
    // Of a text: what it says.
    text says;
    // Of a list or an object: what is in it.
    struct json *first;
    // Of a member of an object: its name.
    text name;
    struct json *next;
} json;

// The value that a text is; none when it is no JSON, or nested too deeply.
const json *json_parse(text whole);

// The last member of that name, as names should be there once; none without it, and in what is no object.
const json *json_member(const json *object, text name);

// Whether no later member has the name of this one.
bool json_is_last_of_its_name(const json *member);

void json_write(builder *to, const json *value);
void json_write_text(builder *to, text says);
// In quotes, for texts to people.
text json_quoted(text says);

// The old object with a change made to it, as a merge patch (RFC 7396).
text json_patched(const json *old, const json *change);

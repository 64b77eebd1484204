// `data/…`: the newest version of a key, or one by its number.
#pragma once

#include "record.h"

// The fields that several paths share.
#define PATH_FIELD {T("path"), FIELD_STRING, T("Location of the secret.")}
#define VERSION_FIELD \
    {T("version"), FIELD_INT, T("The version to read; the newest when it is not given.")}

// Refuses a write that names no key.
bool key_to_write(call *it);

// Whether the key is there at all, even with all its versions deleted.
bool key_exists(call *it, bool *found);

// What a read found: nothing; a version that is deleted or destroyed; or one with its data.
typedef enum { NOTHING, GONE, LIVE } finding;

// Reads the version that the call asks for. `shown` is what is known of it.
bool find_version(call *it, finding *found, text *data, text *shown);

extern const route DATA_ROUTE;

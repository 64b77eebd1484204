// A family of paths: what they begin with, the fields they take, and what they do.
#pragma once

#include "fields.h"

// Fills in the call's answer, or its failure and gives false.
typedef bool handler(call *it);

static constexpr size_t FIELDS_MAX = 7;

typedef struct {
    // What the path begins with. What follows is the key, which may be empty; without a key, the path is just this.
    text start;
    bool has_key;
    field fields[FIELDS_MAX];
    handler *read, *write, *patch, *delete, *list, *scan;
    // Whether something is there; without it every write is an update.
    bool (*exists)(call *it, bool *found);
    text synopsis;
    text description;
} route;

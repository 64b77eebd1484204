// The mount's storage, outside of a transaction and in one.
#pragma once

#include "call.h"

// A view of the storage: the mount's own, or a transaction's.
typedef struct {
    bool is_transaction;
    palisade_plugin_storage_own_transaction_t transaction;
} view;

static constexpr view STORAGE = {};

// The text at a key. Without a failure, `found` says whether there is any.
bool host_read(call *it, view of, text key, bool *found, text *value);
bool host_put(call *it, view of, text key, text value);
bool host_delete(call *it, view of, text key);

// The JSON list of the names beneath a prefix, empty when there are none.
bool host_list(call *it, text prefix, text after, int32_t limit, text *names);

// What changes something, in a transaction.
typedef bool change(call *it, view transaction, const void *with);

// Runs a change in a transaction and commits it, and all of it again for as long as it conflicts with a newer write. One that
// fails is rolled back.
bool host_attempt(call *it, change *once, const void *with);

// The mount's storage, outside of a transaction and in one.
#include "host.h"

#include <string.h>

// How often a write is tried before its conflict is told to the client.
static constexpr int ATTEMPTS_MAX = 8;

typedef palisade_plugin_storage_host_error_t host_error;

// What the host lends us has no `const`, and is not changed.
static secrets_string_t lent(text it) { return (secrets_string_t){(uint8_t *)it.at, it.len}; }

// A copy that lives as long as the call, of what the bindings have allocated.
static text kept(const void *at, size_t len) {
    char *copy = take(len);
    if (len > 0) memcpy(copy, at, len);
    return (text){copy, len};
}

static bool failed(call *it, host_error *error) {
    bool conflict = error->kind == PALISADE_PLUGIN_TYPES_HOST_ERROR_KIND_CONFLICT;
    text message = kept(error->message.ptr, error->message.len);
    palisade_plugin_storage_host_error_free(error);
    return fail(it, conflict ? CONFLICT : HOST, message);
}

bool host_read(call *it, view of, text key, bool *found, text *value) {
    palisade_plugin_storage_option_entry_t entry;
    host_error error;
    secrets_string_t name = lent(key);
    bool done = of.is_transaction
                    ? palisade_plugin_storage_method_transaction_get(
                          palisade_plugin_storage_borrow_transaction(of.transaction), &name, &entry, &error)
                    : palisade_plugin_storage_get(&name, &entry, &error);
    if (!done) return failed(it, &error);
    *found = entry.is_some;
    if (entry.is_some) *value = kept(entry.val.value.ptr, entry.val.value.len);
    palisade_plugin_storage_option_entry_free(&entry);
    return true;
}

bool host_put(call *it, view of, text key, text value) {
    host_error error;
    palisade_plugin_storage_entry_t entry = {
        .key = lent(key),
        .value = {(uint8_t *)value.at, value.len},
        .seal_wrap = false,
    };
    bool done = of.is_transaction
                    ? palisade_plugin_storage_method_transaction_put(
                          palisade_plugin_storage_borrow_transaction(of.transaction), &entry, &error)
                    : palisade_plugin_storage_put(&entry, &error);
    return done || failed(it, &error);
}

bool host_delete(call *it, view of, text key) {
    host_error error;
    secrets_string_t name = lent(key);
    bool done = of.is_transaction
                    ? palisade_plugin_storage_method_transaction_delete(
                          palisade_plugin_storage_borrow_transaction(of.transaction), &name, &error)
                    : palisade_plugin_storage_delete(&name, &error);
    return done || failed(it, &error);
}

bool host_list(call *it, text prefix, text after, int32_t limit, text *names) {
    secrets_list_string_t found;
    host_error error;
    secrets_string_t beneath = lent(prefix), behind = lent(after);
    if (!palisade_plugin_storage_list_page(&beneath, &behind, limit, &found, &error)) {
        return failed(it, &error);
    }
    builder list = {};
    for (size_t i = 0; i < found.len; i++) {
        add_byte(&list, i == 0 ? '[' : ',');
        json_write_text(&list, (text){(char *)found.ptr[i].ptr, found.ptr[i].len});
    }
    if (found.len > 0) add_byte(&list, ']');
    secrets_list_string_free(&found);
    *names = built(&list);
    return true;
}

static bool attempt_once(call *it, change *once, const void *with) {
    host_error error;
    view in = {.is_transaction = true};
    auto mode = PALISADE_PLUGIN_STORAGE_TRANSACTION_MODE_READ_WRITE;
    if (!palisade_plugin_storage_begin(mode, &in.transaction, &error)) return failed(it, &error);
    if (!once(it, in, with)) {
        palisade_plugin_storage_transaction_drop_own(in.transaction);
        return false;
    }
    return palisade_plugin_storage_static_transaction_commit(in.transaction, &error) || failed(it, &error);
}

bool host_attempt(call *it, change *once, const void *with) {
    for (int attempt = 1;; attempt++) {
        bool done = attempt_once(it, once, with);
        if (done || it->failure != CONFLICT || attempt == ATTEMPTS_MAX) return done;
        it->failure = NO_FAILURE;
        it->answer = (answer){};
    }
}

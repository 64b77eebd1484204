// `delete/…`, `undelete/…` and `destroy/…`: what happens to versions by their numbers.
#include "versions.h"

#include "data.h"

#define FIELDS {PATH_FIELD, {T("versions"), FIELD_INTS, T("The numbers of the versions.")}}

// What is done to one version of a record, which may not have it.
typedef bool deed(call *it, view in, version *of, int64_t number, moment deletion);

typedef struct {
    deed *each;
    config settings;
} intent;

// Those numbers that no version has are nothing.
static bool change_once(call *it, view in, const void *with) {
    const intent *wanted = with;
    record known;
    bool found;
    int64_t number;
    if (!record_load(it, in, it->key, &found, &known)) return false;
    if (!found) return true;
    // A version that comes back is as good as new: its age counts from now.
    moment deletion = record_deletion_of_new(&known, now(), &wanted->settings);
    ints numbers = field_ints(it, T("versions"));
    while (next_int(&numbers, &number)) {
        if (!wanted->each(it, in, record_version(&known, number), number, deletion)) return false;
    }
    return record_save(it, in, it->key, &known);
}

static bool to_each(call *it, deed *each, text missing) {
    int64_t number;
    intent wanted = {.each = each};
    ints numbers = field_ints(it, T("versions"));
    if (!next_int(&numbers, &number)) return refuse(it, missing);
    return config_get(it, &wanted.settings) && host_attempt(it, change_once, &wanted);
}

static bool delete_each(call *, view, version *of, int64_t, moment) {
    if (of != nullptr && version_is_live(of)) of->deleted = now();
    return true;
}

static bool undelete_each(call *, view, version *of, int64_t, moment deletion) {
    if (of != nullptr && !of->destroyed) of->deleted = deletion;
    return true;
}

static bool destroy_each(call *it, view in, version *of, int64_t number, moment) {
    if (of != nullptr) of->destroyed = true;
    return number < 0 || data_destroy(it, in, it->key, number);
}

static bool delete(call *it) { return to_each(it, delete_each, T("No version number provided")); }
static bool undelete(call *it) { return to_each(it, undelete_each, T("No version number provided")); }
static bool destroy(call *it) { return to_each(it, destroy_each, T("no version number provided")); }

const route DELETE_ROUTE = {
    .start = T("delete/"),
    .has_key = true,
    .fields = FIELDS,
    .write = delete,
    .synopsis = T("Marks one or more versions as deleted in the KV store."),
    .description =
        T("The data of these versions stays in storage, and is not read any more until it is restored."),
};

const route UNDELETE_ROUTE = {
    .start = T("undelete/"),
    .has_key = true,
    .fields = FIELDS,
    .write = undelete,
    .synopsis = T("Undeletes one or more versions from the KV store."),
    .description = T("The data of these versions can be read again."),
};

const route DESTROY_ROUTE = {
    .start = T("destroy/"),
    .has_key = true,
    .fields = FIELDS,
    .write = destroy,
    .synopsis = T("Permanently removes one or more versions in the KV store"),
    .description = T("The data of these versions is removed from storage, for good."),
};

// `data/…`: the newest version of a key, or one by its number.
#include "data.h"

static constexpr int ATTEMPTS_MAX = 3;

// What a write is to do.
typedef struct {
    config settings;
    const json *data;
} intent;

bool key_to_write(call *it) { return it->key.len > 0 || refuse(it, T("missing path")); }

bool key_exists(call *it, bool *found) {
    record known;
    return record_load(it, STORAGE, it->key, found, &known);
}

// The metadata and the data are two reads with no transaction around them. When the key changes in between, the second
// shows it, and both are made again.
bool find_version(call *it, finding *found, text *data, text *shown) {
    record known;
    bool there;
    int64_t wanted = 0;
    field_int(it, T("version"), &wanted);
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        *found = NOTHING;
        if (!record_load(it, STORAGE, it->key, &there, &known)) return false;
        const version *of = record_version(&known, wanted > 0 ? wanted : known.current_version);
        if (!there || of == nullptr) return true;
        *shown = shown_version(&known, of);
        *found = version_is_live(of) ? LIVE : GONE;
        if (*found == GONE) return true;
        if (!data_load(it, STORAGE, it->key, of, &there, data)) return false;
        if (there) return true;
    }
    return fail(it, INTERNAL, T("could not find version data"));
}

static bool read(call *it) {
    finding found;
    text data, shown;
    if (!find_version(it, &found, &data, &shown)) return false;
    if (found == GONE) {
        answer_not_found(it, JOINED(T("{\"data\":null,\"metadata\":"), shown, T("}")), T(""));
    } else if (found == LIVE) {
        answer_data(it, JOINED(T("{\"data\":"), data, T(",\"metadata\":"), shown, T("}")));
    }
    return true;
}

static bool intended(call *it, intent *wanted) {
    wanted->data = field_json(it, T("data"));
    if (!key_to_write(it)) return false;
    if (wanted->data == nullptr) return refuse(it, T("no data provided"));
    return config_get(it, &wanted->settings);
}

// Refuses a write that expects another version to be the newest, or that has to say which and does not.
static bool check_and_set(call *it, const config *settings, const record *known) {
    int64_t wanted = 0;
    const json *cas = json_member(field_json(it, T("options")), T("cas"));
    if (cas == nullptr) {
        return !(settings->cas_required || known->cas_required) ||
               refuse(it, T("check-and-set parameter required for this call"));
    }
    if (cas->kind != JSON_NULL && read_int(cas, &wanted).len > 0) {
        return refuse(it, T("error parsing check-and-set parameter"));
    }
    return wanted == known->current_version ||
           refuse(it, T("check-and-set parameter did not match the current version"));
}

// Writes the data as the newest version, drops what is too old, and tells what was made.
static bool add_version(call *it, view in, const config *settings, record *known, text data) {
    version *too_old = record_add_version(known, now(), settings);
    const version *made = record_version(known, known->current_version);
    if (!data_save(it, in, it->key, made, data) || !record_save(it, in, it->key, known)) return false;
    for (; too_old != nullptr; too_old = too_old->next) {
        if (!data_destroy(it, in, it->key, too_old->number)) return false;
    }
    answer_data(it, shown_version(known, made));
    return true;
}

static bool write_once(call *it, view in, const void *with) {
    const intent *wanted = with;
    record known;
    bool found;
    if (!record_load(it, in, it->key, &found, &known)) return false;
    if (!found) known = record_new();
    return check_and_set(it, &wanted->settings, &known) &&
           add_version(it, in, &wanted->settings, &known, wanted->data->raw);
}

static bool write(call *it) {
    intent wanted;
    return intended(it, &wanted) && host_attempt(it, write_once, &wanted);
}

static bool patch_live(call *it, view in, const intent *wanted, record *known, const version *newest) {
    bool found;
    text data;
    if (!data_load(it, in, it->key, newest, &found, &data)) return false;
    const json *old = found ? json_parse(data) : nullptr;
    if (old == nullptr) return fail(it, INTERNAL, T("could not find version data"));
    return add_version(it, in, &wanted->settings, known, json_patched(old, wanted->data));
}

static bool patch_once(call *it, view in, const void *with) {
    const intent *wanted = with;
    record known;
    bool found;
    if (!record_load(it, in, it->key, &found, &known)) return false;
    if (found && !check_and_set(it, &wanted->settings, &known)) return false;
    const version *newest = record_version(&known, known.current_version);
    if (newest != nullptr && version_is_live(newest)) return patch_live(it, in, wanted, &known, newest);
    answer_not_found(it, newest == nullptr ? T("") : shown_version(&known, newest), T(""));
    return true;
}

static bool patch(call *it) {
    intent wanted;
    return intended(it, &wanted) && host_attempt(it, patch_once, &wanted);
}

static bool delete_once(call *it, view in, const void *) {
    record known;
    bool found;
    if (!record_load(it, in, it->key, &found, &known)) return false;
    version *newest = record_version(&known, known.current_version);
    if (newest == nullptr || !version_is_live(newest)) return true;
    newest->deleted = now();
    return record_save(it, in, it->key, &known);
}

static bool delete(call *it) { return host_attempt(it, delete_once, nullptr); }

const route DATA_ROUTE = {
    .start = T("data/"),
    .has_key = true,
    .fields =
        {
            PATH_FIELD,
            VERSION_FIELD,
            {T("options"), FIELD_MAP,
             T("Options of a write. With `cas` it is made only if that is the key's newest version; zero means\n"
               "that there must be none yet.")},
            {T("data"), FIELD_MAP, T("What to store, and what a read gives back.")},
        },
    .read = read,
    .write = write,
    .patch = patch,
    .delete = delete,
    .exists = key_exists,
    .synopsis = T("Write, Patch, Read, and Delete data in the Key-Value Store."),
    .description =
        T("A write makes a new version of the key. A patch makes one by changing part of the newest,\n"
          "as a JSON merge patch. A read gives the newest version, or the one that `version` names.\n"
          "A delete marks the newest version as deleted, which can be undone."),
};

// `metadata/…`: what is known of a key besides its data, and the list of keys.
#include "metadata.h"

#include "custom_metadata.h"
#include "data.h"

#define CAS_REQUIRED T("cas_required")
#define MAX_VERSIONS T("max_versions")
#define DELETE_VERSION_AFTER T("delete_version_after")
#define CUSTOM_METADATA T("custom_metadata")

static bool list(call *it) {
    text prefix = JOINED(METADATA, it->key), names;
    if (prefix.at[prefix.len - 1] != '/') prefix = JOINED(prefix, T("/"));
    // Storage takes every limit below one for "all", and so does what is too large for it.
    int64_t limit = 0;
    if (!field_int(it, T("limit"), &limit) || limit < 1 || limit > INT32_MAX) limit = -1;
    if (!host_list(it, prefix, field_string(it, T("after")), (int32_t)limit, &names)) return false;
    answer_data(it, names.len > 0 ? JOINED(T("{\"keys\":"), names, T("}")) : T("{}"));
    return true;
}

static text shown_versions(const record *known) {
    builder to = {};
    add_byte(&to, '{');
    for (const version *of = known->versions; of != nullptr; of = of->next) {
        add(&to, JOINED(T("\""), number_text(of->number), T("\":{\"created_time\":"),
                        json_quoted(shown_moment(of->created)), T(",\"deletion_time\":"),
                        json_quoted(shown_moment(of->deleted)), T(",\"destroyed\":"),
                        of->destroyed ? T("true}") : T("false}")));
        if (of->next != nullptr) add_byte(&to, ',');
    }
    add_byte(&to, '}');
    return built(&to);
}

static bool read(call *it) {
    record known;
    bool found;
    if (!record_load(it, STORAGE, it->key, &found, &known)) return false;
    if (!found) return true;
    answer_data(it, JOINED(T("{\"versions\":"), shown_versions(&known), T(",\"current_version\":"),
                           number_text(known.current_version), T(",\"oldest_version\":"),
                           number_text(known.oldest_version), T(",\"created_time\":"),
                           json_quoted(shown_moment(known.created)), T(",\"updated_time\":"),
                           json_quoted(shown_moment(known.updated)), T(",\"max_versions\":"),
                           number_text(known.max_versions), T(",\"cas_required\":"),
                           known.cas_required ? T("true") : T("false"), T(",\"delete_version_after\":"),
                           json_quoted(go_duration(known.delete_version_after)),
                           T(",\"custom_metadata\":"), shown_notes(&known), T("}")));
    return true;
}

// The settings that a request names; the others stay as they are.
typedef struct {
    bool is_patch;
    bool has_cas, has_count, has_span;
    bool cas_required;
    int64_t max_versions;
    int64_t delete_version_after;
    const json *notes;
    bool clears_notes;
    // What became of a patch: whether there is such a key.
    bool *is_known;
} intent;

// In a patch, `null` sets a setting back.
static bool intended(call *it, bool is_patch, intent *wanted) {
    *wanted = (intent){.is_patch = is_patch, .notes = field_json(it, CUSTOM_METADATA)};
    wanted->has_cas = field_bool(it, CAS_REQUIRED, &wanted->cas_required);
    wanted->has_count = field_int(it, MAX_VERSIONS, &wanted->max_versions);
    wanted->has_span = field_seconds(it, DELETE_VERSION_AFTER, &wanted->delete_version_after);
    if (is_patch) {
        wanted->has_cas |= field_is_null(it, CAS_REQUIRED);
        wanted->has_count |= field_is_null(it, MAX_VERSIONS);
        wanted->has_span |= field_is_null(it, DELETE_VERSION_AFTER);
        wanted->clears_notes = field_is_null(it, CUSTOM_METADATA);
    }
    return key_to_write(it) && config_check_count(it, wanted->max_versions);
}

static void apply_settings(const intent *wanted, record *known) {
    if (wanted->has_cas) known->cas_required = wanted->cas_required;
    if (wanted->has_count) known->max_versions = wanted->max_versions;
    if (wanted->has_span) known->delete_version_after = wanted->delete_version_after;
    if (wanted->clears_notes) known->custom_metadata = nullptr;
}

static bool change_once(call *it, view in, const void *with) {
    const intent *wanted = with;
    record known;
    if (!record_load(it, in, it->key, wanted->is_known, &known)) return false;
    if (!*wanted->is_known) {
        if (wanted->is_patch) return true;
        known = record_new();
    }
    apply_settings(wanted, &known);
    if (wanted->notes != nullptr) {
        note *before = wanted->is_patch ? known.custom_metadata : nullptr;
        if (!notes_changed(it, before, wanted->notes, wanted->is_patch, &known.custom_metadata)) {
            return false;
        }
    }
    return record_save(it, in, it->key, &known);
}

static bool changed(call *it, intent *wanted) {
    config settings;
    bool is_known;
    wanted->is_known = &is_known;
    if (!config_get(it, &settings) || !host_attempt(it, change_once, wanted)) return false;
    if (wanted->is_patch && !is_known) {
        answer_not_found(it, T(""), T(""));
    } else if (wanted->has_cas && !wanted->cas_required && settings.cas_required) {
        answer_warning(it, T("\"cas_required\" set to false, but is mandated by backend config. "
                             "This value will be ignored."));
    }
    return true;
}

static bool write(call *it) {
    intent wanted;
    if (!intended(it, false, &wanted)) return false;
    bool names_any = wanted.has_cas || wanted.has_count || wanted.has_span || wanted.notes != nullptr;
    return !names_any || changed(it, &wanted);
}

static bool patch(call *it) {
    intent wanted;
    return intended(it, true, &wanted) && changed(it, &wanted);
}

static bool delete_once(call *it, view in, const void *) {
    record known;
    bool found;
    if (!record_load(it, in, it->key, &found, &known)) return false;
    if (!found) return true;
    for (const version *of = known.versions; of != nullptr; of = of->next) {
        if (!data_destroy(it, in, it->key, of->number)) return false;
    }
    return host_delete(it, in, JOINED(METADATA, it->key));
}

static bool delete(call *it) { return host_attempt(it, delete_once, nullptr); }

const route METADATA_ROUTE = {
    .start = METADATA,
    .has_key = true,
    .fields =
        {
            PATH_FIELD,
            {CAS_REQUIRED, FIELD_BOOL,
             T("Whether every write of this key has to say which version it replaces. If false, the mount's\n"
               "setting holds.")},
            {MAX_VERSIONS, FIELD_INT,
             T("The number of versions to keep. If not set, the mount's setting holds.")},
            {DELETE_VERSION_AFTER, FIELD_DURATION,
             T("How long after its creation a version is deleted, unless the mount deletes earlier. Zero clears\n"
               "the setting.")},
            {CUSTOM_METADATA, FIELD_MAP, T("Names and texts that describe the secret.")},
            {T("after"), FIELD_STRING, T("For lists: start behind this name.")},
            {T("limit"), FIELD_INT, T("For lists: give at most this many names.")},
        },
    .list = list,
    .read = read,
    .write = write,
    .patch = patch,
    .delete = delete,
    .exists = key_exists,
    .synopsis = T("Allows interaction with key metadata and settings in the KV store."),
    .description = T("Lists keys, reads what is known of one and all its versions, changes its settings, and\n"
                     "removes it with all its versions."),
};

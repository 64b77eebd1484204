// What is stored: for each key its metadata, and for each of its versions the data.
#include "record.h"

// How many versions a key keeps when neither it nor the mount says.
static constexpr int64_t VERSIONS_KEPT = 10;

// What does not parse was not written by this plugin; its content is not repeated.
static bool damaged(call *it, text key) {
    return fail(it, INTERNAL, JOINED(T("what is stored for the key "), json_quoted(key), T(" is damaged")));
}

static text bool_text(bool flag) { return flag ? T("true") : T("false"); }

record record_new(void) { return (record){.created = now(), .updated = now()}; }

static bool read_number(const json *object, text name, int64_t *number) {
    const json *member = json_member(object, name);
    return member != nullptr && parse_number(member->raw, number);
}

static bool read_bool(const json *object, text name, bool *flag) {
    const json *member = json_member(object, name);
    if (member == nullptr) return false;
    *flag = member->kind == JSON_TRUE;
    return member->kind == JSON_TRUE || member->kind == JSON_FALSE;
}

static bool read_version(const json *member, version *it) {
    return parse_number(member->name, &it->number) &&
           read_moment(json_member(member, T("created")), &it->created) &&
           read_moment(json_member(member, T("deleted")), &it->deleted) &&
           read_bool(member, T("destroyed"), &it->destroyed);
}

static void insert(version **list, version *it) {
    while (*list != nullptr && (*list)->number < it->number) list = &(*list)->next;
    it->next = *list;
    *list = it;
}

static bool read_versions(const json *object, record *known) {
    if (object == nullptr || object->kind != JSON_OBJECT) return false;
    for (const json *member = object->first; member != nullptr; member = member->next) {
        version *it = take(sizeof(version));
        *it = (version){};
        if (!read_version(member, it)) return false;
        insert(&known->versions, it);
    }
    return true;
}

static bool read_notes(const json *object, record *known) {
    note **place = &known->custom_metadata;
    if (object == nullptr || object->kind != JSON_OBJECT) return false;
    for (const json *member = object->first; member != nullptr; member = member->next) {
        *place = take(sizeof(note));
        **place = (note){.name = member->name, .says = member->says};
        place = &(*place)->next;
    }
    return true;
}

static bool read_record(const json *object, record *known) {
    return read_number(object, T("current_version"), &known->current_version) &&
           read_number(object, T("oldest_version"), &known->oldest_version) &&
           read_number(object, T("max_versions"), &known->max_versions) &&
           read_number(object, T("delete_version_after"), &known->delete_version_after) &&
           read_bool(object, T("cas_required"), &known->cas_required) &&
           read_moment(json_member(object, T("created")), &known->created) &&
           read_moment(json_member(object, T("updated")), &known->updated) &&
           read_notes(json_member(object, T("custom_metadata")), known) &&
           read_versions(json_member(object, T("versions")), known);
}

bool record_load(call *it, view of, text key, bool *found, record *known) {
    text stored;
    *known = (record){};
    if (!host_read(it, of, JOINED(METADATA, key), found, &stored)) return false;
    return !*found || read_record(json_parse(stored), known) || damaged(it, key);
}

static text notes_text(const record *known) {
    builder to = {};
    add_byte(&to, '{');
    for (const note *it = known->custom_metadata; it != nullptr; it = it->next) {
        json_write_text(&to, it->name);
        add_byte(&to, ':');
        json_write_text(&to, it->says);
        if (it->next != nullptr) add_byte(&to, ',');
    }
    add_byte(&to, '}');
    return built(&to);
}

static text versions_text(const record *known) {
    builder to = {};
    add_byte(&to, '{');
    for (const version *it = known->versions; it != nullptr; it = it->next) {
        add(&to, JOINED(T("\""), number_text(it->number), T("\":{\"created\":")));
        write_moment(&to, it->created);
        add(&to, T(",\"deleted\":"));
        write_moment(&to, it->deleted);
        add(&to, JOINED(T(",\"destroyed\":"), bool_text(it->destroyed), T("}")));
        if (it->next != nullptr) add_byte(&to, ',');
    }
    add_byte(&to, '}');
    return built(&to);
}

bool record_save(call *it, view of, text key, const record *known) {
    builder to = {};
    add(&to, JOINED(T("{\"current_version\":"), number_text(known->current_version),
                    T(",\"oldest_version\":"), number_text(known->oldest_version), T(",\"created\":")));
    write_moment(&to, known->created);
    add(&to, T(",\"updated\":"));
    write_moment(&to, known->updated);
    add(&to, JOINED(T(",\"max_versions\":"), number_text(known->max_versions), T(",\"cas_required\":"),
                    bool_text(known->cas_required), T(",\"delete_version_after\":"),
                    number_text(known->delete_version_after), T(",\"custom_metadata\":"),
                    notes_text(known), T(",\"versions\":"), versions_text(known), T("}")));
    return host_put(it, of, JOINED(METADATA, key), built(&to));
}

version *record_version(const record *known, int64_t number) {
    version *it = known->versions;
    while (it != nullptr && it->number != number) it = it->next;
    return it;
}

moment record_deletion_of_new(const record *known, moment created, const config *settings) {
    int64_t span = settings->delete_version_after;
    if (span < 0) return (moment){};
    int64_t own = known->delete_version_after;
    if (own > 0 && (span == 0 || own < span)) span = own;
    return span > 0 ? later(created, span) : (moment){};
}

static version *drop_old_versions(record *known, const config *settings) {
    int64_t kept = known->max_versions > settings->max_versions ? known->max_versions : settings->max_versions;
    if (kept == 0) kept = VERSIONS_KEPT;
    if (known->current_version - known->oldest_version < kept) return nullptr;
    known->oldest_version = known->current_version - kept + 1;
    version *older = known->versions, **place = &older;
    while (*place != nullptr && (*place)->number < known->oldest_version) place = &(*place)->next;
    known->versions = *place;
    *place = nullptr;
    return older;
}

version *record_add_version(record *known, moment created, const config *settings) {
    version *it = take(sizeof(version));
    *it = (version){
        .number = ++known->current_version,
        .created = created,
        .deleted = record_deletion_of_new(known, created, settings),
    };
    known->updated = created;
    insert(&known->versions, it);
    return drop_old_versions(known, settings);
}

bool version_is_live(const version *it) {
    return !it->destroyed && (!it->deleted.is_set || is_before(now(), it->deleted));
}

text shown_version(const record *known, const version *it) {
    return JOINED(T("{\"version\":"), number_text(it->number), T(",\"created_time\":"),
                  json_quoted(shown_moment(it->created)), T(",\"deletion_time\":"),
                  json_quoted(shown_moment(it->deleted)), T(",\"destroyed\":"), bool_text(it->destroyed),
                  T(",\"custom_metadata\":"), shown_notes(known), T("}"));
}

text shown_notes(const record *known) {
    return known->custom_metadata == nullptr ? T("null") : notes_text(known);
}

// The last segment is the number and everything before it the key, so no two pairs share a storage key.
static text version_key(text key, int64_t number) {
    return JOINED(VERSIONS, key, T("/"), number_text(number));
}

bool data_load(call *it, view in, text key, const version *of, bool *found, text *data) {
    text stored;
    moment created;
    if (!host_read(it, in, version_key(key, of->number), found, &stored) || !*found) {
        return it->failure == NO_FAILURE;
    }
    const json *object = json_parse(stored), *kept = json_member(object, T("data"));
    if (kept == nullptr || !read_moment(json_member(object, T("created")), &created)) {
        return damaged(it, key);
    }
    *found = is_same_moment(created, of->created);
    *data = kept->raw;
    return true;
}

bool data_save(call *it, view in, text key, const version *of, text data) {
    builder to = {};
    add(&to, T("{\"created\":"));
    write_moment(&to, of->created);
    add(&to, JOINED(T(",\"data\":"), data, T("}")));
    return host_put(it, in, version_key(key, of->number), built(&to));
}

bool data_destroy(call *it, view in, text key, int64_t number) {
    return host_delete(it, in, version_key(key, number));
}

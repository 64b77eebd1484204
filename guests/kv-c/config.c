// `config`: settings of the mount that hold for all its keys.
//
// Almost every request needs them, so they are cached. The cache is told when another store of the mount changes them,
// and it never holds what a request merely intends to write: the host may still refuse the commit.
#include "config.h"

#include "host.h"
#include "moments.h"

#define CONFIG T("config")

static constexpr int64_t VERSIONS_MAX = UINT32_MAX;

static struct {
    bool is_known;
    config settings;
} cache;

void config_forget(void) { cache.is_known = false; }

void config_invalidate(text key) {
    if (same(key, CONFIG)) config_forget();
}

static bool number_of(const json *object, text name, int64_t *number) {
    const json *member = json_member(object, name);
    return member != nullptr && parse_number(member->raw, number);
}

static bool load(call *it, view of, config *settings) {
    bool found;
    text stored;
    *settings = (config){};
    if (!host_read(it, of, CONFIG, &found, &stored)) return false;
    if (!found) return true;
    const json *object = json_parse(stored), *cas = json_member(object, T("cas_required"));
    if (cas == nullptr || !number_of(object, T("max_versions"), &settings->max_versions) ||
        !number_of(object, T("delete_version_after"), &settings->delete_version_after)) {
        return fail(it, INTERNAL, T("the stored configuration is damaged"));
    }
    settings->cas_required = cas->kind == JSON_TRUE;
    return true;
}

bool config_get(call *it, config *settings) {
    if (!cache.is_known) {
        if (!load(it, STORAGE, &cache.settings)) return false;
        cache.is_known = true;
    }
    *settings = cache.settings;
    return true;
}

bool config_check_count(call *it, int64_t count) {
    if (count >= 0 && count <= VERSIONS_MAX) return true;
    return refuse(it, JOINED(T("max_versions is "), number_text(count), T(", and has to be from 0 to "),
                             number_text(VERSIONS_MAX)));
}

static text written(const config *settings, text span) {
    return JOINED(T("{\"max_versions\":"), number_text(settings->max_versions), T(",\"cas_required\":"),
                  settings->cas_required ? T("true") : T("false"), T(",\"delete_version_after\":"), span,
                  T("}"));
}

static bool read(call *it) {
    config settings;
    if (!config_get(it, &settings)) return false;
    answer_data(it, written(&settings, json_quoted(go_duration(settings.delete_version_after))));
    return true;
}

static bool change_once(call *it, view in, const void *) {
    config settings;
    if (!load(it, in, &settings)) return false;
    if (field_int(it, T("max_versions"), &settings.max_versions) &&
        !config_check_count(it, settings.max_versions)) {
        return false;
    }
    field_bool(it, T("cas_required"), &settings.cas_required);
    field_seconds(it, T("delete_version_after"), &settings.delete_version_after);
    // Every negative time means the same, and reads back as -1s.
    if (settings.delete_version_after < 0) settings.delete_version_after = -1;
    return host_put(it, in, CONFIG, written(&settings, number_text(settings.delete_version_after)));
}

static bool write(call *it) {
    bool done = host_attempt(it, change_once, nullptr);
    config_forget();
    return done;
}

const route CONFIG_ROUTE = {
    .start = CONFIG,
    .fields =
        {
            {T("max_versions"), FIELD_INT, T("The number of versions that each key keeps. Without it, ten.")},
            {T("cas_required"), FIELD_BOOL, T("Whether every write has to say which version it replaces.")},
            {T("delete_version_after"), FIELD_SIGNED_DURATION,
             T("How long after its creation a version is deleted. Zero clears the setting; a negative time\n"
               "switches deletion by age off for all keys.")},
        },
    .read = read,
    .write = write,
    .synopsis = T("Configures settings for the KV store"),
    .description = T("Settings that hold for every key of this mount. What a write does not name stays as it is."),
};

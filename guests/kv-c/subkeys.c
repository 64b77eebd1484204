// `subkeys/…`: the names inside a secret, without the values.
#include "subkeys.h"

#include "data.h"

// Replaces everything but objects with members, and those too below the depth.
static void write_names(builder *to, const json *object, int64_t depth, int64_t depth_max) {
    bool more = false;
    add_byte(to, '{');
    for (const json *member = object->first; member != nullptr; member = member->next) {
        if (!json_is_last_of_its_name(member)) continue;
        if (more) add_byte(to, ',');
        more = true;
        json_write_text(to, member->name);
        add_byte(to, ':');
        bool has_members = member->kind == JSON_OBJECT && member->first != nullptr;
        if (has_members && (depth_max == 0 || depth < depth_max)) {
            write_names(to, member, depth + 1, depth_max);
        } else {
            add(to, T("null"));
        }
    }
    add_byte(to, '}');
}

static bool read(call *it) {
    finding found;
    text data, shown;
    int64_t depth_max = 0;
    builder names = {};
    if (!find_version(it, &found, &data, &shown)) return false;
    if (found == GONE) {
        answer_not_found(it, JOINED(T("{\"subkeys\":null,\"metadata\":"), shown, T("}")), T(""));
    }
    if (found != LIVE) return true;
    const json *object = json_parse(data);
    if (object == nullptr) return fail(it, INTERNAL, T("the stored data is damaged"));
    field_int(it, T("depth"), &depth_max);
    write_names(&names, object, 1, depth_max);
    answer_data(it, JOINED(T("{\"subkeys\":"), built(&names), T(",\"metadata\":"), shown, T("}")));
    return true;
}

const route SUBKEYS_ROUTE = {
    .start = T("subkeys/"),
    .has_key = true,
    .fields =
        {
            PATH_FIELD,
            VERSION_FIELD,
            {T("depth"), FIELD_INT,
             T("How deep to look; what lies deeper shows as null. Zero or nothing means all the way.")},
        },
    .read = read,
    .synopsis = T("Read the structure of a secret entry from the Key-Value store with the values removed."),
    .description = T("Every value that is not an object with members shows as null, so that a policy can let\n"
                     "people see what is there and not what it says."),
};

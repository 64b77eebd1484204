// The help texts, in OpenBao's shape.
#include "help.h"

static text pattern(const route *of) {
    if (of->start.len == 0) return T("^.*$");
    return JOINED(T("^"), of->start, of->has_key ? T("(?P<path>.*)$") : T("$"));
}

static text of_mount(size_t count, const route *const all[]) {
    builder to = {};
    add(&to, T("## DESCRIPTION\n\nA key-value store with versions. Every write of a key makes a new version, as many as\n"
               "the key or the mount keeps; each can be read, deleted, restored and destroyed by its\n"
               "number.\n\n## PATHS\n\n"
               "These are the patterns of the paths that this backend answers. Ask for the help of a path\n"
               "that matches one of them to learn what it takes. Policies decide which of them your token\n"
               "may use.\n\n"));
    for (size_t i = 0; i < count; i++) {
        add(&to, JOINED(T("    "), pattern(all[i]), T("\n        "), all[i]->synopsis, T("\n\n")));
    }
    return built(&to);
}

// A description of several lines, each as far in as the first.
static void add_indented(builder *to, text lines) {
    for (size_t i = 0; i < lines.len; i++) {
        add_byte(to, lines.at[i]);
        if (lines.at[i] == '\n') add(to, T("        "));
    }
}

static text of_path(text path, const route *of) {
    builder to = {};
    add(&to, JOINED(T("Request:        "), path, T("\nMatching Route: "), pattern(of), T("\n\n"), of->synopsis,
                    T("\n\n")));
    if (of->fields[0].name.len > 0) add(&to, T("## PARAMETERS\n"));
    for (size_t i = 0; i < FIELDS_MAX && of->fields[i].name.len > 0; i++) {
        const field *it = &of->fields[i];
        add(&to, JOINED(T("\n    "), it->name, T(" ("), field_word(it->kind), T(")\n        ")));
        add_indented(&to, it->description);
        add_byte(&to, '\n');
    }
    if (of->fields[0].name.len > 0) add_byte(&to, '\n');
    add(&to, JOINED(T("## DESCRIPTION\n\n"), of->description, T("\n")));
    return built(&to);
}

static text documents(size_t count, const route *const all[]) {
    builder to = {};
    for (size_t i = 0; i < count; i++) {
        add_byte(&to, i == 0 ? '{' : ',');
        add(&to, JOINED(json_quoted(pattern(all[i])), T(":{\"description\":"), json_quoted(all[i]->synopsis),
                        T("}")));
    }
    add_byte(&to, '}');
    return built(&to);
}

void answer_help(call *it, const route *of, size_t count, const route *const all[]) {
    bool is_mount = of == nullptr;
    text says = is_mount ? of_mount(count, all) : of_path(it->path, of);
    text paths = is_mount ? documents(count, all) : documents(1, &of);
    answer_data(it, JOINED(T("{\"help\":"), json_quoted(says),
                           T(",\"see_also\":null,\"openapi\":{\"openapi\":\"3.0.2\",\"info\":{\"title\":"
                             "\"Palisade plugin\",\"version\":\"0.1.0\"},\"paths\":"),
                           paths, T("}}")));
}

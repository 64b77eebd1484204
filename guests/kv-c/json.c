// JSON (RFC 8259) whose numbers keep their digits: each value knows the text that it was.
#include "json.h"

#include <string.h>

// As deep as hosts read it.
static constexpr int DEPTH_MAX = 128;

// The letters that stand behind a backslash, and what each means.
static const char WRITTEN[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";

typedef struct {
    text whole;
    size_t at;
    int depth;
} reader;

static bool value(reader *in, json *into);

static int peek(const reader *in) {
    return in->at < in->whole.len ? (unsigned char)in->whole.at[in->at] : -1;
}

static bool next_is(reader *in, char byte) {
    if (peek(in) != byte) return false;
    in->at++;
    return true;
}

static void skip_blanks(reader *in) {
    while (peek(in) == ' ' || peek(in) == '\t' || peek(in) == '\n' || peek(in) == '\r') in->at++;
}

static bool word(reader *in, text wanted, json_kind kind, json *into) {
    if (!starts_with(from(in->whole, in->at), wanted)) return false;
    in->at += wanted.len;
    into->kind = kind;
    return true;
}

static bool digits(reader *in) {
    size_t start = in->at;
    while (peek(in) >= '0' && peek(in) <= '9') in->at++;
    return in->at > start;
}

static bool number(reader *in, json *into) {
    into->kind = JSON_NUMBER;
    next_is(in, '-');
    if (!next_is(in, '0') && !digits(in)) return false;
    if (next_is(in, '.') && !digits(in)) return false;
    if (next_is(in, 'e') || next_is(in, 'E')) {
        if (!next_is(in, '+')) next_is(in, '-');
        return digits(in);
    }
    return true;
}

static bool four_hex(reader *in, uint32_t *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        int byte = peek(in);
        int digit = byte >= '0' && byte <= '9'   ? byte - '0'
                    : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                    : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                                 : -1;
        if (digit < 0) return false;
        *unit = *unit << 4 | (uint32_t)digit;
        in->at++;
    }
    return true;
}

static void add_utf8(builder *to, uint32_t point) {
    if (point < 0x80) {
        add_byte(to, (char)point);
        return;
    }
    int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    add_byte(to, (char)(lead[more] | point >> (6 * more)));
    while (more-- > 0) add_byte(to, (char)(0x80 | (point >> (6 * more) & 0x3f)));
}

// A half of a pair alone is no character.
static bool escaped_character(reader *in, builder *to) {
    uint32_t point, low;
    if (!four_hex(in, &point)) return false;
    if (point >= 0xdc00 && point <= 0xdfff) return false;
    if (point >= 0xd800 && point <= 0xdbff) {
        if (!next_is(in, '\\') || !next_is(in, 'u') || !four_hex(in, &low)) return false;
        if (low < 0xdc00 || low > 0xdfff) return false;
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    }
    add_utf8(to, point);
    return true;
}

static bool escape(reader *in, builder *to) {
    int byte = peek(in);
    in->at++;
    if (byte == 'u') return escaped_character(in, to);
    const char *found = byte > 0 ? strchr(WRITTEN, byte) : nullptr;
    if (found == nullptr) return false;
    add_byte(to, MEANT[found - WRITTEN]);
    return true;
}

static bool string(reader *in, text *says) {
    builder said = {};
    if (!next_is(in, '"')) return false;
    for (;;) {
        size_t start = in->at;
        while (peek(in) >= ' ' && peek(in) != '"' && peek(in) != '\\') in->at++;
        add(&said, (text){in->whole.at + start, in->at - start});
        if (next_is(in, '"')) break;
        if (!next_is(in, '\\') || !escape(in, &said)) return false;
    }
    *says = built(&said);
    return true;
}

static bool item(reader *in, bool named, json *into) {
    if (named) {
        skip_blanks(in);
        if (!string(in, &into->name)) return false;
        skip_blanks(in);
        if (!next_is(in, ':')) return false;
    }
    return value(in, into);
}

// What stands between brackets, after the opening one.
static bool items(reader *in, bool named, char end, json *into) {
    json **place = &into->first;
    if (++in->depth > DEPTH_MAX) return false;
    skip_blanks(in);
    if (next_is(in, end)) {
        in->depth--;
        return true;
    }
    do {
        *place = take(sizeof(json));
        **place = (json){};
        if (!item(in, named, *place)) return false;
        place = &(*place)->next;
    } while (next_is(in, ','));
    in->depth--;
    return next_is(in, end);
}

static bool bare_value(reader *in, json *into) {
    switch (peek(in)) {
        case '{':
            in->at++;
            into->kind = JSON_OBJECT;
            return items(in, true, '}', into);
        case '[':
            in->at++;
            into->kind = JSON_LIST;
            return items(in, false, ']', into);
        case '"':
            into->kind = JSON_TEXT;
            return string(in, &into->says);
        case 't':
            return word(in, T("true"), JSON_TRUE, into);
        case 'f':
            return word(in, T("false"), JSON_FALSE, into);
        case 'n':
            return word(in, T("null"), JSON_NULL, into);
        default:
            return number(in, into);
    }
}

static bool value(reader *in, json *into) {
    skip_blanks(in);
    size_t start = in->at;
    if (!bare_value(in, into)) return false;
    into->raw = (text){in->whole.at + start, in->at - start};
    skip_blanks(in);
    return true;
}

const json *json_parse(text whole) {
    reader in = {.whole = whole};
    json *found = take(sizeof(json));
    *found = (json){};
    return value(&in, found) && in.at == whole.len ? found : nullptr;
}

const json *json_member(const json *object, text name) {
    const json *found = nullptr;
    if (object == nullptr || object->kind != JSON_OBJECT) return nullptr;
    for (const json *it = object->first; it != nullptr; it = it->next) {
        if (same(it->name, name)) found = it;
    }
    return found;
}

bool json_is_last_of_its_name(const json *member) {
    for (const json *it = member->next; it != nullptr; it = it->next) {
        if (same(it->name, member->name)) return false;
    }
    return true;
}

void json_write_text(builder *to, text says) {
    static const char hex[] = "0123456789abcdef";
    add_byte(to, '"');
    for (size_t i = 0; i < says.len; i++) {
        unsigned char byte = (unsigned char)says.at[i];
        const char *found = byte > 0 && byte != '/' ? strchr(MEANT, byte) : nullptr;
        if (found != nullptr) {
            add_byte(to, '\\');
            add_byte(to, WRITTEN[found - MEANT]);
        } else if (byte < ' ') {
            add(to, T("\\u00"));
            add_byte(to, hex[byte >> 4]);
            add_byte(to, hex[byte & 15]);
        } else {
            add_byte(to, (char)byte);
        }
    }
    add_byte(to, '"');
}

text json_quoted(text says) {
    builder quoted = {};
    json_write_text(&quoted, says);
    return built(&quoted);
}

void json_write(builder *to, const json *it) {
    if (it->kind != JSON_OBJECT) {
        add(to, it->raw);
        return;
    }
    add_byte(to, '{');
    bool more = false;
    for (const json *member = it->first; member != nullptr; member = member->next) {
        if (more) add_byte(to, ',');
        more = true;
        json_write_text(to, member->name);
        add_byte(to, ':');
        json_write(to, member);
    }
    add_byte(to, '}');
}

// A copy of an object's own list of members, each name once, so that it can be changed.
static json *members_of(const json *object) {
    json *first = nullptr, **place = &first;
    if (object == nullptr || object->kind != JSON_OBJECT) return nullptr;
    for (const json *it = object->first; it != nullptr; it = it->next) {
        if (!json_is_last_of_its_name(it)) continue;
        *place = take(sizeof(json));
        **place = *it;
        (*place)->next = nullptr;
        place = &(*place)->next;
    }
    return first;
}

// Where the member of that name is, or the end of the list.
static json **place_of(json **first, text name) {
    json **place = first;
    while (*place != nullptr && !same((*place)->name, name)) place = &(*place)->next;
    return place;
}

// `null` removes, objects are merged into each other, and everything else replaces.
static json merged(const json *old, const json *change) {
    json result = {.kind = JSON_OBJECT, .first = members_of(old)};
    for (const json *new = change->first; new != nullptr; new = new->next) {
        if (!json_is_last_of_its_name(new)) continue;
        json **place = place_of(&result.first, new->name);
        json *next = *place == nullptr ? nullptr : (*place)->next;
        if (new->kind == JSON_NULL) {
            *place = next;
            continue;
        }
        json *changed = take(sizeof(json));
        *changed = new->kind == JSON_OBJECT ? merged(*place, new) : *new;
        changed->name = new->name;
        changed->next = next;
        *place = changed;
    }
    return result;
}

text json_patched(const json *old, const json *change) {
    json whole = merged(old, change);
    builder written = {};
    json_write(&written, &whole);
    return built(&written);
}

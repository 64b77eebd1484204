// Reads what a client sent for a field.
#include "fields.h"

#include "moments.h"

static text mismatch(text expected, const json *found) {
    static const text words[] = {
        [JSON_NULL] = T("null"),   [JSON_FALSE] = T("a boolean"),
        [JSON_TRUE] = T("a boolean"), [JSON_NUMBER] = T("a number of another kind"),
        [JSON_TEXT] = T("text"),   [JSON_LIST] = T("a list"),
        [JSON_OBJECT] = T("an object"),
    };
    return JOINED(T("expected "), expected, T(", got "), words[found->kind]);
}

text read_text(const json *value, text *says) {
    switch (value->kind) {
        case JSON_TEXT:
            *says = value->says;
            return T("");
        case JSON_NUMBER:
            *says = value->raw;
            return T("");
        case JSON_TRUE:
        case JSON_FALSE:
            *says = value->kind == JSON_TRUE ? T("1") : T("0");
            return T("");
        default:
            return mismatch(T("text"), value);
    }
}

text read_int(const json *value, int64_t *number) {
    text digits;
    switch (value->kind) {
        case JSON_TRUE:
        case JSON_FALSE:
            *number = value->kind == JSON_TRUE;
            return T("");
        case JSON_NUMBER:
            digits = value->raw;
            break;
        case JSON_TEXT:
            digits = trimmed(value->says);
            *number = 0;
            if (digits.len == 0) return T("");
            break;
        default:
            return mismatch(T("a whole number"), value);
    }
    return parse_number(digits, number) ? T("") : mismatch(T("a whole number of 64 bits"), value);
}

static text read_bool(const json *value, bool *flag) {
    static const text yes[] = {T("1"), T("t"), T("T"), T("true"), T("TRUE"), T("True")};
    static const text no[] = {T(""), T("0"), T("f"), T("F"), T("false"), T("FALSE"), T("False")};
    int64_t number = 0;
    switch (value->kind) {
        case JSON_TRUE:
        case JSON_FALSE:
            *flag = value->kind == JSON_TRUE;
            return T("");
        case JSON_NUMBER: {
            text fault = read_int(value, &number);
            *flag = number != 0;
            return fault;
        }
        case JSON_TEXT:
            for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
                if (same(value->says, yes[i])) return *flag = true, T("");
            }
            for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
                if (same(value->says, no[i])) return *flag = false, T("");
            }
            [[fallthrough]];
        default:
            return mismatch(T("true or false"), value);
    }
}

static text read_seconds(const json *value, int64_t *seconds) {
    if (value->kind != JSON_TEXT) return read_int(value, seconds);
    if (parse_seconds(value->says, seconds)) return T("");
    return mismatch(T("a duration such as 90 or 1h30m"), value);
}

static text read_duration(const json *value, int64_t *seconds) {
    text fault = read_seconds(value, seconds);
    if (fault.len > 0 || *seconds >= 0) return fault;
    return T("expected a duration of zero or more, got a negative one");
}

// Takes the text before the next comma off the rest.
static text next_part(text *rest) {
    size_t len = 0;
    while (len < rest->len && rest->at[len] != ',') len++;
    text part = {rest->at, len};
    *rest = from(*rest, len < rest->len ? len + 1 : len);
    return trimmed(part);
}

static text check_ints(const json *value) {
    int64_t number;
    text fault = T("");
    switch (value->kind) {
        case JSON_NUMBER:
            return read_int(value, &number);
        case JSON_LIST:
            for (const json *it = value->first; it != nullptr && fault.len == 0; it = it->next) {
                fault = read_int(it, &number);
            }
            return fault;
        case JSON_TEXT:
            for (text rest = value->says; rest.len > 0 && fault.len == 0;) {
                json part = {.kind = JSON_TEXT, .says = next_part(&rest)};
                fault = read_int(&part, &number);
            }
            return fault;
        default:
            return mismatch(T("a list of whole numbers"), value);
    }
}

text field_word(field_kind kind) {
    static const text words[] = {
        [FIELD_STRING] = T("string"),
        [FIELD_INT] = T("int"),
        [FIELD_BOOL] = T("bool"),
        [FIELD_DURATION] = T("duration (sec)"),
        [FIELD_SIGNED_DURATION] = T("signed duration (sec)"),
        [FIELD_MAP] = T("map"),
        [FIELD_INTS] = T("slice"),
    };
    return words[kind];
}

static text check(field_kind kind, const json *value) {
    text says;
    int64_t number;
    bool flag;
    switch (kind) {
        case FIELD_STRING:
            return read_text(value, &says);
        case FIELD_INT:
            return read_int(value, &number);
        case FIELD_BOOL:
            return read_bool(value, &flag);
        case FIELD_DURATION:
            return read_duration(value, &number);
        case FIELD_SIGNED_DURATION:
            return read_seconds(value, &number);
        case FIELD_MAP:
            return value->kind == JSON_OBJECT ? T("") : mismatch(T("an object"), value);
        case FIELD_INTS:
            return check_ints(value);
    }
    return T("");
}

bool field_check(call *it, const field *wanted) {
    const json *value = field_json(it, wanted->name);
    text fault = value == nullptr ? T("") : check(wanted->kind, value);
    if (fault.len == 0) return true;
    return refuse(it, JOINED(T("Field validation failed: error converting input for field "),
                             json_quoted(wanted->name), T(": "), fault));
}

const json *field_json(const call *it, text name) {
    const json *given = json_member(it->body, name);
    return given == nullptr || given->kind == JSON_NULL ? nullptr : given;
}

bool field_is_null(const call *it, text name) {
    const json *given = json_member(it->body, name);
    return given != nullptr && given->kind == JSON_NULL;
}

text field_string(const call *it, text name) {
    text says = T("");
    const json *given = field_json(it, name);
    if (given != nullptr) read_text(given, &says);
    return says;
}

bool field_int(const call *it, text name, int64_t *number) {
    const json *given = field_json(it, name);
    return given != nullptr && read_int(given, number).len == 0;
}

bool field_bool(const call *it, text name, bool *flag) {
    const json *given = field_json(it, name);
    return given != nullptr && read_bool(given, flag).len == 0;
}

bool field_seconds(const call *it, text name, int64_t *seconds) {
    const json *given = field_json(it, name);
    return given != nullptr && read_seconds(given, seconds).len == 0;
}

ints field_ints(const call *it, text name) {
    const json *given = field_json(it, name);
    if (given == nullptr) return (ints){};
    if (given->kind == JSON_TEXT) return (ints){.rest = given->says};
    bool is_list = given->kind == JSON_LIST;
    return (ints){.item = is_list ? given->first : given, .is_list = is_list};
}

bool next_int(ints *list, int64_t *number) {
    while (list->rest.len > 0) {
        text part = next_part(&list->rest);
        if (part.len > 0) return parse_number(part, number);
    }
    if (list->item == nullptr) return false;
    bool read = read_int(list->item, number).len == 0;
    list->item = list->is_list ? list->item->next : nullptr;
    return read;
}

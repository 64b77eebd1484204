// The texts that people attach to a key: what is allowed, and how they are changed.
#include "custom_metadata.h"

static constexpr int64_t KEYS_MAX = 64;
static constexpr size_t KEY_BYTES_MAX = 128;
static constexpr size_t VALUE_BYTES_MAX = 512;

#define FAILED T("custom_metadata validation failed: ")

// Where the text of that name is or would be.
static note **place_of(note **list, text name) {
    while (*list != nullptr && order((*list)->name, name) < 0) list = &(*list)->next;
    return list;
}

static void set(note **list, text name, text says) {
    note **place = place_of(list, name);
    if (*place != nullptr && same((*place)->name, name)) {
        (*place)->says = says;
        return;
    }
    note *made = take(sizeof(note));
    *made = (note){.name = name, .says = says, .next = *place};
    *place = made;
}

static void unset(note **list, text name) {
    note **place = place_of(list, name);
    if (*place != nullptr && same((*place)->name, name)) *place = (*place)->next;
}

// Counts what is wrong, and keeps the words of it.
typedef struct {
    int64_t count;
    builder list;
} faults;

static void found(faults *all, text fault) {
    all->count++;
    add(&all->list, JOINED(T("\n\t* "), FAILED, fault));
}

static void check_length(faults *all, text what, text name, text length_of, text checked, size_t bytes_max) {
    if (checked.len > 0 && checked.len <= bytes_max) return;
    found(all, JOINED(T("length of "), what, json_quoted(name), T(" is "), number_text((int64_t)checked.len),
                      T(" but must be 0 < len("), length_of, T(") <= "), number_text((int64_t)bytes_max)));
}

// The next character of text that is well-formed.
static uint32_t next_character(text *rest) {
    static const uint8_t lead[] = {0x7f, 0x1f, 0x0f, 0x07};
    uint8_t first = (uint8_t)rest->at[0];
    size_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    uint32_t point = first & lead[more];
    for (size_t i = 1; i <= more && i < rest->len; i++) point = point << 6 | ((uint8_t)rest->at[i] & 0x3f);
    *rest = from(*rest, more < rest->len ? more + 1 : rest->len);
    return point;
}

// Of the blanks only the space can be printed.
static bool can_be_printed(uint32_t point) {
    if (point < 0xa0) return point >= ' ' && !(point >= 0x7f);
    bool blank = point == 0xa0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200a) ||
                 point == 0x2028 || point == 0x2029 || point == 0x202f || point == 0x205f ||
                 point == 0x3000;
    return !blank;
}

static bool is_printable(text rest) {
    while (rest.len > 0) {
        if (!can_be_printed(next_character(&rest))) return false;
    }
    return true;
}

static void check_note(faults *all, const note *it) {
    check_length(all, T("key "), it->name, T("key"), it->name, KEY_BYTES_MAX);
    check_length(all, T("value for key "), it->name, T("value"), it->says, VALUE_BYTES_MAX);
    text quoted = json_quoted(it->name);
    if (!is_printable(it->name)) {
        found(all, JOINED(T("key "), quoted, T(" ("), it->name, T(") contains unprintable characters")));
    }
    if (!is_printable(it->says)) {
        found(all, JOINED(T("value for key "), quoted, T(" contains unprintable characters")));
    }
}

// In the form in which OpenBao's clients know them. With too many texts, nothing else is looked at.
static bool check(call *it, const note *all) {
    faults wrong = {};
    int64_t count = 0;
    for (const note *one = all; one != nullptr; one = one->next) count++;
    if (count > KEYS_MAX) {
        found(&wrong, JOINED(T("payload must contain at most "), number_text(KEYS_MAX),
                             T(" keys, provided "), number_text(count)));
    } else {
        for (const note *one = all; one != nullptr; one = one->next) check_note(&wrong, one);
    }
    if (wrong.count == 0) return true;
    text errors = wrong.count == 1 ? T(" error occurred:") : T(" errors occurred:");
    return refuse(it, JOINED(number_text(wrong.count), errors, built(&wrong.list), T("\n\n")));
}

bool notes_changed(call *it, const note *before, const json *given, bool is_patch, note **after) {
    note *all = nullptr;
    const json *worst = nullptr;
    for (; before != nullptr; before = before->next) set(&all, before->name, before->says);
    for (const json *member = given->first; member != nullptr; member = member->next) {
        text says = T("");
        if (!json_is_last_of_its_name(member)) continue;
        if (member->kind == JSON_NULL && is_patch) {
            unset(&all, member->name);
            continue;
        }
        bool is_text = member->kind == JSON_NULL || read_text(member, &says).len == 0;
        // Of several faults the one of the first name is told, in whichever order they were sent.
        if (!is_text && (worst == nullptr || order(member->name, worst->name) < 0)) worst = member;
        set(&all, member->name, says);
    }
    if (worst != nullptr) {
        text none;
        return refuse(it, JOINED(FAILED, read_text(worst, &none)));
    }
    *after = all;
    return check(it, all);
}

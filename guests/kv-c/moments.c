// Points in time and spans of it, as the store keeps them and as clients see them.
#include "moments.h"

#include "bindings/secrets.h"

static constexpr int64_t DAY = 86400;

moment now(void) {
    palisade_plugin_clock_timestamp_t time;
    palisade_plugin_clock_now(&time);
    return (moment){true, time.seconds, time.nanos};
}

bool is_before(moment a, moment b) {
    return a.seconds != b.seconds ? a.seconds < b.seconds : a.nanos < b.nanos;
}

bool is_same_moment(moment a, moment b) { return a.seconds == b.seconds && a.nanos == b.nanos; }

moment later(moment start, int64_t seconds) {
    if (__builtin_add_overflow(start.seconds, seconds, &start.seconds)) start.seconds = INT64_MAX;
    return start;
}

static void add_padded(builder *to, int64_t number, int width) {
    for (int64_t least = 10; width > 1; width--, least *= 10) {
        if (number < least) {
            for (int64_t digits = width - 1; digits > 0; digits--) add_byte(to, '0');
            break;
        }
    }
    add_number(to, number);
}

// The decimals of a second without the zeros at the end.
static void add_decimals(builder *to, uint32_t nanos) {
    if (nanos == 0) return;
    int width = 9;
    for (; nanos % 10 == 0; nanos /= 10) width--;
    add_byte(to, '.');
    add_padded(to, nanos, width);
}

// The Gregorian calendar counted in eras of 400 years that begin in March.
static void add_date(builder *to, int64_t days) {
    int64_t shifted = days + 719468;
    int64_t era = shifted / 146097, day = shifted % 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    int64_t march = (5 * day + 2) / 153;
    int64_t month = march < 10 ? march + 3 : march - 9;
    add_padded(to, year + era * 400 + (month <= 2), 4);
    add_byte(to, '-');
    add_padded(to, month, 2);
    add_byte(to, '-');
    add_padded(to, day - (153 * march + 2) / 5 + 1, 2);
}

text shown_moment(moment it) {
    builder shown = {};
    // The years 1 to 9999.
    constexpr int64_t first = -62135596800, last = 253402300799;
    if (!it.is_set || it.seconds < first || it.seconds > last) return T("");
    int64_t days = it.seconds / DAY, rest = it.seconds % DAY;
    if (rest < 0) {
        days--;
        rest += DAY;
    }
    add_date(&shown, days);
    add_byte(&shown, 'T');
    add_padded(&shown, rest / 3600, 2);
    add_byte(&shown, ':');
    add_padded(&shown, rest / 60 % 60, 2);
    add_byte(&shown, ':');
    add_padded(&shown, rest % 60, 2);
    add_decimals(&shown, it.nanos);
    add_byte(&shown, 'Z');
    return built(&shown);
}

void write_moment(builder *to, moment it) {
    if (!it.is_set) {
        add(to, T("null"));
        return;
    }
    add_byte(to, '[');
    add_number(to, it.seconds);
    add_byte(to, ',');
    add_number(to, it.nanos);
    add_byte(to, ']');
}

bool read_moment(const json *value, moment *it) {
    int64_t seconds, nanos;
    *it = (moment){};
    if (value == nullptr) return false;
    if (value->kind == JSON_NULL) return true;
    const json *first = value->kind == JSON_LIST ? value->first : nullptr;
    if (first == nullptr || first->next == nullptr) return false;
    if (!parse_number(first->raw, &seconds) || !parse_number(first->next->raw, &nanos)) return false;
    if (nanos < 0 || nanos >= 1000000000) return false;
    *it = (moment){true, seconds, (uint32_t)nanos};
    return true;
}

static bool is_digit(text rest) { return rest.len > 0 && rest.at[0] >= '0' && rest.at[0] <= '9'; }

// Nanoseconds fit, of every span whose whole seconds fit.
typedef __int128 nanoseconds;
static constexpr nanoseconds SECOND = 1000000000;

static bool unit(text *rest, nanoseconds *each) {
    static const struct {
        text name;
        int64_t nanos;
    } units[] = {
        {T("ns"), 1},           {T("us"), 1000},          {T("µs"), 1000},
        {T("μs"), 1000},        {T("ms"), 1000000},       {T("s"), 1000000000},
        {T("m"), 60000000000},  {T("h"), 3600000000000},  {T("d"), 86400000000000},
    };
    size_t len = 0;
    while (len < rest->len && !is_digit(from(*rest, len)) && rest->at[len] != '.') len++;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!same((text){rest->at, len}, units[i].name)) continue;
        *rest = from(*rest, len);
        *each = units[i].nanos;
        return true;
    }
    return false;
}

// One number and its unit. More than twelve decimals are refused, and so is what is out of reach.
static bool part(text *rest, nanoseconds *total) {
    nanoseconds whole = 0, decimals = 0, scale = 1, each;
    size_t seen = 0, places = 0;
    for (; is_digit(*rest); *rest = from(*rest, 1), seen++) {
        whole = whole * 10 + (rest->at[0] - '0');
        if (whole > INT64_MAX) return false;
    }
    if (rest->len > 0 && rest->at[0] == '.') {
        *rest = from(*rest, 1);
        for (; is_digit(*rest); *rest = from(*rest, 1), seen++, places++, scale *= 10) {
            if (places == 12) return false;
            decimals = decimals * 10 + (rest->at[0] - '0');
        }
    }
    if (seen == 0 || !unit(rest, &each)) return false;
    *total += whole * each + decimals * each / scale;
    return *total / SECOND <= INT64_MAX;
}

bool parse_seconds(text whole, int64_t *seconds) {
    nanoseconds total = 0;
    whole = trimmed(whole);
    *seconds = 0;
    if (whole.len == 0 || parse_number(whole, seconds)) return true;
    bool negative = whole.at[0] == '-';
    if (negative || whole.at[0] == '+') whole = from(whole, 1);
    if (whole.len == 0) return false;
    while (whole.len > 0) {
        if (!part(&whole, &total)) return false;
    }
    *seconds = (int64_t)(negative ? -(total / SECOND) : total / SECOND);
    return true;
}

text go_duration(int64_t seconds) {
    builder shown = {};
    uint64_t total = seconds < 0 ? -(uint64_t)seconds : (uint64_t)seconds;
    if (seconds < 0) add_byte(&shown, '-');
    if (total >= 3600) {
        add_number(&shown, (int64_t)(total / 3600));
        add_byte(&shown, 'h');
    }
    if (total >= 60) {
        add_number(&shown, (int64_t)(total / 60 % 60));
        add_byte(&shown, 'm');
    }
    add_number(&shown, (int64_t)(total % 60));
    add_byte(&shown, 's');
    return built(&shown);
}

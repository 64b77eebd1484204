// Points in time and spans of it, as the store keeps them and as clients see them.
#pragma once

#include "json.h"

typedef struct {
    bool is_set;
    // Since the Unix epoch.
    int64_t seconds;
    uint32_t nanos;
} moment;

// The host's clock.
moment now(void);
bool is_before(moment a, moment b);
bool is_same_moment(moment a, moment b);
// So many seconds later, at the most as late as can be stored.
moment later(moment start, int64_t seconds);

// RFC 3339 in UTC with as many decimals as needed; empty for "never" and for what the form cannot express.
text shown_moment(moment it);

// As stored: seconds and nanoseconds in a list, or null.
void write_moment(builder *to, moment it);
bool read_moment(const json *value, moment *it);

// Whole seconds from `90`, `-1`, `15m`, `1h30m`, `1.5h` or `2d`, as Go reads them; fractions are cut.
bool parse_seconds(text whole, int64_t *seconds);
// As Go's Duration.String writes them: `0s`, `45s`, `1m30s`, `1h0m0s`, `-1s`.
text go_duration(int64_t seconds);

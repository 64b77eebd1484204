// `config`: settings of the mount that hold for all its keys.
#pragma once

#include "route.h"

typedef struct {
    // How many versions a key keeps at least; zero when nobody said.
    int64_t max_versions;
    bool cas_required;
    // In seconds; zero when nobody said, negative when nothing is deleted by age.
    int64_t delete_version_after;
} config;

// The settings, from memory or from storage.
bool config_get(call *it, config *settings);
// Another store of the mount wrote this key.
void config_invalidate(text key);
void config_forget(void);

// A number of versions to keep, as clients give it.
bool config_check_count(call *it, int64_t count);

extern const route CONFIG_ROUTE;

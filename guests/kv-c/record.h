// What is stored: for each key its metadata, and for each of its versions the data.
//
//     metadata/KEY       the record
//     versions/KEY/3     the data of one version, written once and never changed
#pragma once

#include "config.h"
#include "host.h"
#include "moments.h"

#define METADATA T("metadata/")
#define VERSIONS T("versions/")

// What is known of one version.
typedef struct version {
    int64_t number;
    moment created;
    // When it is, or was, deleted. The data is still there and can be restored.
    moment deleted;
    // Whether the data is gone for good.
    bool destroyed;
    // The next newer one.
    struct version *next;
} version;

// A text that somebody attached to a key.
typedef struct note {
    text name;
    text says;
    struct note *next;
} note;

// Everything that is known of a key but its data.
typedef struct {
    // The newest version; zero before the first write.
    int64_t current_version;
    // The oldest version that is kept; zero while none was dropped.
    int64_t oldest_version;
    moment created;
    moment updated;
    // How many versions to keep; zero leaves it to the mount.
    int64_t max_versions;
    bool cas_required;
    // How long after its creation a version is deleted, in seconds; zero leaves it to the mount.
    int64_t delete_version_after;
    // Sorted by name.
    note *custom_metadata;
    // The oldest first.
    version *versions;
} record;

// A key that nothing was written to yet.
record record_new(void);

bool record_load(call *it, view of, text key, bool *found, record *known);
bool record_save(call *it, view of, text key, const record *known);

version *record_version(const record *known, int64_t number);
// Adds a version and gives back those that are too many now.
version *record_add_version(record *known, moment created, const config *settings);
// When a version that appears now is going to be deleted: after the shorter of the key's and the mount's span.
moment record_deletion_of_new(const record *known, moment created, const config *settings);

// Whether the data can be read: it is neither destroyed nor deleted by now.
bool version_is_live(const version *it);

// As clients see them.
text shown_version(const record *known, const version *it);
// `null` when there are none, as in OpenBao.
text shown_notes(const record *known);

// The data of a version as the text that the client once sent. Not found when it is not the version that `of` speaks of:
// somebody changed the key between the two reads.
bool data_load(call *it, view in, text key, const version *of, bool *found, text *data);
bool data_save(call *it, view in, text key, const version *of, text data);
bool data_destroy(call *it, view in, text key, int64_t number);

// Every other path: mostly clients that take the mount for a store without versions, so they are told the way.
#include "invalid.h"

// The word of the command line for an operation.
static text command(operation wanted) {
    switch (wanted) {
        case PALISADE_PLUGIN_TYPES_OPERATION_CREATE:
        case PALISADE_PLUGIN_TYPES_OPERATION_UPDATE:
            return T("put");
        case PALISADE_PLUGIN_TYPES_OPERATION_PATCH:
            return T("patch");
        case PALISADE_PLUGIN_TYPES_OPERATION_DELETE:
            return T("delete");
        case PALISADE_PLUGIN_TYPES_OPERATION_LIST:
            return T("list");
        case PALISADE_PLUGIN_TYPES_OPERATION_SCAN:
            return T("scan");
        default:
            return T("get");
    }
}

static bool is_root(text path) {
    static const text roots[] = {T("metadata"), T("data"), T("delete"), T("undelete"), T("destroy")};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        if (same(path, roots[i])) return true;
    }
    return false;
}

static bool tell_the_way(call *it) {
    text warning =
        is_root(it->path)
            ? T("Non-listing operations on the root of a K/V v2 mount are not supported.")
            : JOINED(T("Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API "
                       "endpoints to use. If using the OpenBao CLI, use 'bao kv "),
                     command(it->operation), T("' for this operation."));
    answer_not_found(it, T(""), warning);
    return true;
}

const route INVALID_ROUTE = {
    .start = T(""),
    .has_key = true,
    .read = tell_the_way,
    .write = tell_the_way,
    .patch = tell_the_way,
    .delete = tell_the_way,
    .list = tell_the_way,
    .scan = tell_the_way,
    .synopsis = T("Anything else is not a path of this store."),
    .description = T("Ask for the help of the mount itself to see its paths."),
};

// OpenBao's key-value store, version 2, as a component in C: what the component exports.
//
// It is the same store as `guests/kv`, path for path and byte for byte in storage. Each file has one idea:
//
//     text              text that knows its length, memory for one call
//     json              JSON whose numbers keep their digits
//     moments           points and spans of time
//     call, route       a request on its way; a family of paths
//     fields            reads what a client sent
//     host              the mount's storage, and transactions that are tried again
//     config            the mount's settings, cached in memory
//     record            what is stored
//     data, versions, metadata, custom_metadata, subkeys, invalid, help    the paths
//     bindings/         made by wit-bindgen from the WIT package
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "help.h"
#include "invalid.h"
#include "metadata.h"
#include "subkeys.h"
#include "versions.h"

// Both stand in the section of the component too, where they are read without running anything. An empty version leaves
// it to the operator's registration.
#define PLUGIN_VERSION T("")
#define CONTRACT_VERSION T("0.1.0")

typedef exports_palisade_plugin_backend_plugin_error_t plugin_error;

// The first that matches answers, so the one for everything else comes last.
static const route *const ROUTES[] = {
    &CONFIG_ROUTE,   &DATA_ROUTE,    &METADATA_ROUTE, &DELETE_ROUTE,
    &UNDELETE_ROUTE, &DESTROY_ROUTE, &SUBKEYS_ROUTE,  &INVALID_ROUTE,
};
static constexpr size_t ROUTE_COUNT = sizeof ROUTES / sizeof *ROUTES;

// The bindings refer to an object with the types of the world, which the tool that makes the component adds instead.
void __component_type_object_force_link_secrets(void) {}

// A copy that the bindings free once the host has taken it.
static secrets_string_t given(text it) {
    secrets_string_t copy;
    secrets_string_dup_n(&copy, it.at, it.len);
    return copy;
}

static text asked(secrets_string_t it) { return (text){(const char *)it.ptr, it.len}; }

static bool matches(const route *of, text path) {
    return of->has_key ? starts_with(path, of->start) : same(path, of->start);
}

static const route *route_of(text path) {
    size_t at = 0;
    while (!matches(ROUTES[at], path)) at++;
    return ROUTES[at];
}

static handler *handler_of(const route *of, operation wanted) {
    switch (wanted) {
        case PALISADE_PLUGIN_TYPES_OPERATION_CREATE:
        case PALISADE_PLUGIN_TYPES_OPERATION_UPDATE:
            return of->write;
        case PALISADE_PLUGIN_TYPES_OPERATION_READ:
            return of->read;
        case PALISADE_PLUGIN_TYPES_OPERATION_PATCH:
            return of->patch;
        case PALISADE_PLUGIN_TYPES_OPERATION_DELETE:
            return of->delete;
        case PALISADE_PLUGIN_TYPES_OPERATION_LIST:
            return of->list;
        case PALISADE_PLUGIN_TYPES_OPERATION_SCAN:
            return of->scan;
        default:
            return nullptr;
    }
}

// Takes the body apart and checks the fields of the path. The key is the path's, whatever the body says.
static bool prepare(call *it, const route *of, text data) {
    it->key = from(it->path, of->start.len);
    if (!same(data, T("null"))) {
        it->body = json_parse(data);
        if (it->body == nullptr || it->body->kind != JSON_OBJECT) {
            return refuse(it, T("the request's data is not a JSON object"));
        }
    }
    for (size_t i = 0; i < FIELDS_MAX && of->fields[i].name.len > 0; i++) {
        bool in_path = same(of->fields[i].name, T("path"));
        if (!in_path && !field_check(it, &of->fields[i])) return false;
    }
    return true;
}

static bool is_of_no_path(operation wanted) {
    return wanted == PALISADE_PLUGIN_TYPES_OPERATION_RENEW ||
           wanted == PALISADE_PLUGIN_TYPES_OPERATION_REVOKE ||
           wanted == PALISADE_PLUGIN_TYPES_OPERATION_ROLLBACK;
}

static bool handle(call *it, text data) {
    const route *of = route_of(it->path);
    if (it->operation == PALISADE_PLUGIN_TYPES_OPERATION_HELP) {
        answer_help(it, it->path.len > 0 ? of : nullptr, ROUTE_COUNT, ROUTES);
        return true;
    }
    if (is_of_no_path(it->operation)) return fail(it, UNSUPPORTED_OPERATION, T("unsupported operation"));
    handler *act = handler_of(of, it->operation);
    if (act == nullptr) return fail(it, UNSUPPORTED_OPERATION, T("unsupported operation"));
    return prepare(it, of, data) && act(it);
}

static bool exists(call *it, text data, exports_palisade_plugin_backend_existence_t *ret) {
    const route *of = route_of(it->path);
    bool found = false;
    *ret = EXPORTS_PALISADE_PLUGIN_BACKEND_EXISTENCE_UNCHECKED;
    if (of->exists == nullptr) return true;
    if (!prepare(it, of, data) || !of->exists(it, &found)) return false;
    *ret = found ? EXPORTS_PALISADE_PLUGIN_BACKEND_EXISTENCE_PRESENT
                 : EXPORTS_PALISADE_PLUGIN_BACKEND_EXISTENCE_ABSENT;
    return true;
}

static call call_of(const request *it) {
    return (call){.id = asked(it->id), .path = asked(it->path), .operation = it->operation};
}

static void fill(plugin_error *err, const call *it) {
    static const uint8_t kinds[] = {
        [REFUSED] = PALISADE_PLUGIN_TYPES_PLUGIN_ERROR_KIND_INVALID_REQUEST,
        [INTERNAL] = PALISADE_PLUGIN_TYPES_PLUGIN_ERROR_KIND_INTERNAL,
        [UNSUPPORTED_OPERATION] = PALISADE_PLUGIN_TYPES_PLUGIN_ERROR_KIND_UNSUPPORTED_OPERATION,
        [HOST] = PALISADE_PLUGIN_TYPES_PLUGIN_ERROR_KIND_UNKNOWN,
        [CONFLICT] = PALISADE_PLUGIN_TYPES_PLUGIN_ERROR_KIND_UNKNOWN,
    };
    memset(err, 0, sizeof *err);
    err->kind.tag = kinds[it->failure];
    err->message = given(it->fault);
}

static void respond(const answer *said, exports_palisade_plugin_backend_option_response_t *ret) {
    memset(ret, 0, sizeof *ret);
    ret->is_some = said->is_some;
    if (!said->is_some) return;
    ret->val.data = given(said->data);
    ret->val.redirect = given(T(""));
    if (said->warning.len > 0) {
        ret->val.warnings.ptr = malloc(sizeof(secrets_string_t));
        if (ret->val.warnings.ptr == nullptr) __builtin_trap();
        ret->val.warnings.ptr[0] = given(said->warning);
        ret->val.warnings.len = 1;
    }
}

static void set_list(secrets_list_string_t *list, text only) {
    list->ptr = malloc(sizeof(secrets_string_t));
    if (list->ptr == nullptr) __builtin_trap();
    list->ptr[0] = given(only);
    list->len = 1;
}

void exports_palisade_plugin_backend_describe(exports_palisade_plugin_backend_description_t *ret) {
    memset(ret, 0, sizeof *ret);
    ret->plugin_type = EXPORTS_PALISADE_PLUGIN_BACKEND_PLUGIN_TYPE_SECRET;
    ret->version = given(PLUGIN_VERSION);
    ret->contract_version = given(CONTRACT_VERSION);
    // The data itself is sealed twice where the server can do that; and no read of this plugin changes anything.
    set_list(&ret->special_paths.seal_wrap_storage, VERSIONS);
    set_list(&ret->special_paths.safe_reads, T("*"));
}

bool exports_palisade_plugin_backend_setup(exports_palisade_plugin_backend_setup_config_t *config,
                                           plugin_error *) {
    exports_palisade_plugin_backend_setup_config_free(config);
    config_forget();
    return true;
}

bool exports_palisade_plugin_backend_initialize(plugin_error *) { return true; }

bool exports_palisade_plugin_backend_handle_request(request *asked_for,
                                                    exports_palisade_plugin_backend_option_response_t *ret,
                                                    plugin_error *err) {
    call it = call_of(asked_for);
    bool done = handle(&it, asked(asked_for->data));
    if (!done && it.failure == REFUSED) {
        answer_data(&it, JOINED(T("{\"error\":"), json_quoted(it.fault), T("}")));
        done = true;
    }
    if (done) {
        respond(&it.answer, ret);
    } else {
        fill(err, &it);
    }
    exports_palisade_plugin_backend_request_free(asked_for);
    give_all_back();
    return done;
}

bool exports_palisade_plugin_backend_check_existence(request *asked_for,
                                                     exports_palisade_plugin_backend_existence_t *ret,
                                                     plugin_error *err) {
    call it = call_of(asked_for);
    bool done = exists(&it, asked(asked_for->data), ret);
    if (!done) fill(err, &it);
    exports_palisade_plugin_backend_request_free(asked_for);
    give_all_back();
    return done;
}

void exports_palisade_plugin_backend_invalidate_key(secrets_string_t *key) {
    config_invalidate(asked(*key));
    secrets_string_free(key);
}

void exports_palisade_plugin_backend_cleanup(void) {}

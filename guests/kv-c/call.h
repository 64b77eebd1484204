// One request on its way through a handler: what the client sent, and what is answered.
#pragma once

#include "bindings/secrets.h"
#include "json.h"

typedef palisade_plugin_types_request_t request;
typedef palisade_plugin_types_operation_t operation;

// What kind of end a handler comes to that does not answer.
typedef enum {
    NO_FAILURE,
    // The request makes no sense; the client gets HTTP 400 with the text. It travels as an error response: hosts replace
    // the text of an `invalid-request` error by their own.
    REFUSED,
    // Something is wrong in the plugin or in what it stored, HTTP 500.
    INTERNAL,
    UNSUPPORTED_OPERATION,
    // A call to the host failed; hosts know its kind again by the text.
    HOST,
    // A transaction met a newer write: doing everything again may succeed.
    CONFLICT,
} failure_kind;

typedef struct {
    // The JSON of the body; without any there is nothing there, or nothing to say.
    text data;
    // A remark for people; none when it is empty.
    text warning;
    bool is_some;
} answer;

typedef struct {
    text id;
    text path;
    operation operation;
    // The part of the path that its pattern leaves open: the key.
    text key;
    // What the client sent; none for no data.
    const json *body;
    answer answer;
    failure_kind failure;
    text fault;
} call;

// Each ends the handler: they give false, to be returned.
bool fail(call *it, failure_kind kind, text fault);
bool refuse(call *it, text fault);

void answer_data(call *it, text data);
void answer_warning(call *it, text warning);

// An answer with HTTP status 404, and around `data` and `warning` the usual envelope as its body; without both, no body.
// This is how OpenBao's backends say 404 and still tell something.
void answer_not_found(call *it, text data, text warning);

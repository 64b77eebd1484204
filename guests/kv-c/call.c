// One request on its way through a handler: what the client sent, and what is answered.
#include "call.h"

bool fail(call *it, failure_kind kind, text fault) {
    it->failure = kind;
    it->fault = fault;
    return false;
}

bool refuse(call *it, text fault) { return fail(it, REFUSED, fault); }

void answer_data(call *it, text data) { it->answer = (answer){.is_some = true, .data = data}; }

void answer_warning(call *it, text warning) {
    it->answer = (answer){.is_some = true, .data = T("null"), .warning = warning};
}

static text envelope(const call *it, text data, text warning) {
    text warnings = T("null");
    if (warning.len > 0) warnings = JOINED(T("["), json_quoted(warning), T("]"));
    return JOINED(T("{\"request_id\":"), json_quoted(it->id),
                  T(",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":0,\"data\":"),
                  data.len > 0 ? data : T("null"), T(",\"wrap_info\":null,\"warnings\":"), warnings,
                  T(",\"auth\":null}"));
}

void answer_not_found(call *it, text data, text warning) {
    text body = T("");
    if (data.len > 0 || warning.len > 0) {
        body = JOINED(T(",\"http_raw_body\":"), json_quoted(envelope(it, data, warning)));
    }
    answer_data(it, JOINED(T("{\"http_content_type\":\"application/json\",\"http_status_code\":404"),
                           body, T("}")));
}

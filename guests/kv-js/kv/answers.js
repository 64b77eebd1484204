// What a handler gives back: a response, a refusal, or an error of the contract.

import * as json from "./json.js";

/**
 * The request makes no sense; the client gets HTTP 400 with this text.
 *
 * It travels as an error response: hosts replace the text of an `invalid-request` error by their own.
 */
export class Refused extends Error {}

/** An error of the contract, which is what the host gets. It may be no `Error` of the language: those trap. */
export class PluginError {
  constructor(kind, message) {
    this.kind = { tag: kind };
    this.message = message;
  }
}

/** A response with this value as its data. */
export function data(value, warnings = []) {
  return {
    secret: null,
    auth: null,
    data: json.write(value),
    redirect: "",
    warnings,
    wrapInfo: null,
    headers: [],
  };
}

/** The response by which a plugin refuses. */
export const error = (text) => data({ error: text });

/** The answer to a list; an empty object when there are none, which hosts answer with 404. */
export const keys = (names) => data(names.length > 0 ? { keys: names } : {});

/**
 * An answer with an HTTP status of the plugin's choice and this text as its body. This is how OpenBao's backends say 404
 * and still tell something.
 */
const withStatus = (status, body) =>
  data({ http_content_type: "application/json", http_status_code: status, ...body });

/** A 404 without a body. */
export const nothing = () => withStatus(404, {});

/** A 404 that tells something, in the usual envelope. */
export function notFound(request, value, warnings = null) {
  const envelope = {
    request_id: request.id,
    lease_id: "",
    renewable: false,
    lease_duration: 0,
    data: value,
    wrap_info: null,
    warnings,
    auth: null,
  };
  return withStatus(404, { http_raw_body: json.write(envelope) });
}

/** Something is wrong in the plugin or in what it stored, HTTP 500. */
export const internal = (text) => new PluginError("internal", text);

/** There is no such path, HTTP 404. */
export const unsupportedPath = () => new PluginError("unsupported-path", "unsupported path");

/** The path does not do this, HTTP 405. */
export const unsupportedOperation = () =>
  new PluginError("unsupported-operation", "unsupported operation");

/** A host's error that is passed on: hosts know its kind again by the text. */
export const host = (fault) => new PluginError("unknown", fault.message);

/**
 * What the component throws for whatever a handler threw. What is neither an error of the contract nor a refusal is a
 * fault of ours; its text may quote secrets, so only its type is told.
 */
export function thrown(fault) {
  if (fault instanceof PluginError) return fault;
  if (fault instanceof Refused) return new PluginError("invalid-request", fault.message);
  return internal(`the plugin failed: ${fault?.name ?? typeof fault}`);
}

// Reads and writes of the host, with its errors as a plugin passes them on.

import storage from "palisade:plugin/storage@0.1.0";

import * as answers from "./answers.js";
import * as json from "./json.js";
import * as utf8 from "./utf8.js";

// How often a write is tried before its conflict is told to the client.
const ATTEMPTS_MAX = 8;

/** Does something with the host, and turns an error of the host into one that a plugin returns. */
export function withHost(act) {
  try {
    return act();
  } catch (fault) {
    throw isHostError(fault) ? answers.host(fault) : fault;
  }
}

/** A host's error has a kind that is a word, and a message. */
const isHostError = (fault) => typeof fault?.kind === "string";

/** The value of JSON at a key, in the mount's storage or in a transaction. `damaged` makes the error when it is none. */
export function read(key, damaged, view = storage) {
  const entry = withHost(() => view.get(key));
  if (entry === null) return null;
  try {
    return json.parse(utf8.decode(entry.value));
  } catch {
    throw damaged();
  }
}

/** Writes a value of JSON at a key. */
export function put(transaction, key, value) {
  transaction.put({ key, value: utf8.encode(json.write(value)), sealWrap: false });
}

/**
 * Runs `change` in a transaction and commits it, and all of it again for as long as it conflicts with a newer write. A
 * change that throws is rolled back.
 */
export function attempt(change) {
  return withHost(() => {
    for (let left = ATTEMPTS_MAX; ; left -= 1) {
      try {
        return once(change);
      } catch (fault) {
        if (left === 1 || !isConflict(fault)) throw fault;
      }
    }
  });
}

function once(change) {
  const transaction = storage.begin("read-write");
  const answer = orRolledBack(transaction, change);
  storage.Transaction.commit(transaction);
  return answer;
}

function orRolledBack(transaction, change) {
  try {
    return change(transaction);
  } catch (fault) {
    storage.Transaction.rollback(transaction);
    throw fault;
  }
}

/** Whether doing everything again may succeed. */
const isConflict = (fault) => isHostError(fault) && fault.kind === "conflict";

// `data/…`: the newest version of a key, or one by its number.

import * as answers from "./answers.js";
import * as fields from "./fields.js";
import { PATH, VERSION } from "./fields.js";
import * as json from "./json.js";
import * as moments from "./moments.js";
import * as record from "./record.js";
import { Path, written } from "./routes.js";
import * as transactions from "./transactions.js";

const ATTEMPTS_MAX = 3;

const OPTIONS = fields.object(
  "options",
  "Options of a write. With `cas` it is made only if that is the key's newest version; zero means\n" +
    "that there must be none yet.",
);
const DATA = fields.object("data", "What to store, and what a read gives back.");

export function path(settings) {
  /** Runs one attempt after another to change the key that a call is for. */
  const changing = (once) => (call) => {
    const [key, data, config] = [keyToWrite(call), dataToWrite(call), settings.get()];
    return transactions.attempt((transaction) => once({ transaction, call, config, key }, data));
  };

  return new Path({
    pattern: "data/(?P<path>.*)",
    fields: [PATH, VERSION, OPTIONS, DATA],
    operations: {
      read,
      patch: changing(patchOnce),
      delete: markDeleted,
      ...written(changing(writeOnce)),
    },
    exists,
    synopsis: "Write, Patch, Read, and Delete data in the Key-Value Store.",
    description:
      "A write makes a new version of the key. A patch makes one by changing part of the newest,\n" +
      "as a JSON merge patch. A read gives the newest version, or the one that `version` names.\n" +
      "A delete marks the newest version as deleted, which can be undone.",
  });
}

/** The key that a write is for. */
export function keyToWrite(call) {
  const key = call.get(PATH);
  if (!key) throw new answers.Refused("missing path");
  return key;
}

function dataToWrite(call) {
  const data = call.get(DATA);
  if (data === undefined) throw new answers.Refused("no data provided");
  return data;
}

/** Whether the key is there at all, even with all its versions deleted. */
export const exists = (call) => record.load(call.key) !== null;

/**
 * The version that the call asks for: its data, `null` when it is deleted or destroyed, and what is shown of it. `null`
 * when there is no such key or version.
 *
 * The metadata and the data are two reads with no transaction around them. When the key changes in between, the second
 * shows it, and both are made again.
 */
export function find(call) {
  for (let left = ATTEMPTS_MAX; left > 0; left -= 1) {
    const known = record.load(call.key);
    const number = numberToRead(call, known);
    const version = known?.versions.get(number);
    if (!version) return null;
    const shown = known.shown(number, version);
    if (!version.isLive(moments.now())) return { data: null, shown };
    const data = record.loadData(call.key, number, version);
    if (data !== null) return { data, shown };
  }
  throw answers.internal("could not find version data");
}

function numberToRead(call, known) {
  const wanted = call.get(VERSION) ?? 0n;
  return wanted > 0n ? wanted : known?.currentVersion;
}

/** Gives the data and what is known of the version. */
function read(call) {
  const found = find(call);
  if (found === null) return null;
  const body = { data: found.data, metadata: found.shown };
  return found.data === null ? answers.notFound(call.request, body) : answers.data(body);
}

function writeOnce(change, data) {
  const { transaction, key } = change;
  const known = record.load(key, transaction) ?? new record.Record(moments.now());
  checkAndSet(change, known);
  return addVersion(change, known, data);
}

/** Refuses a write that expects another version to be the newest, or that has to say which and does not. */
function checkAndSet({ call, config }, known) {
  const cas = call.get(OPTIONS)?.cas;
  if (cas === undefined) {
    if (config.casRequired || known.casRequired) {
      throw new answers.Refused("check-and-set parameter required for this call");
    }
  } else if (casVersion(cas) !== known.currentVersion) {
    throw new answers.Refused("check-and-set parameter did not match the current version");
  }
}

function casVersion(cas) {
  if (cas === null) return 0n;
  try {
    return fields.whole(cas);
  } catch {
    throw new answers.Refused("error parsing check-and-set parameter");
  }
}

/** Writes the data as the newest version, drops what is too old, and tells what was made. */
function addVersion({ transaction, config, key }, known, data) {
  const now = moments.now();
  const tooOld = known.addVersion(now, config);
  const number = known.currentVersion;
  record.saveData(transaction, key, number, now, data);
  record.save(transaction, key, known);
  tooOld.forEach((old) => record.destroyData(transaction, key, old));
  return answers.data(known.shown(number, known.versions.get(number)));
}

function patchOnce(change, data) {
  const { transaction, call, key } = change;
  const known = record.load(key, transaction);
  if (known === null) return answers.nothing();
  checkAndSet(change, known);
  const number = known.currentVersion;
  const version = known.versions.get(number);
  if (!version) return answers.nothing();
  if (!version.isLive(moments.now())) {
    return answers.notFound(call.request, known.shown(number, version));
  }
  const old = record.loadData(key, number, version, transaction);
  if (old === null) throw answers.internal("could not find version data");
  return addVersion(change, known, merged(old, data));
}

/** The old object with the change made to it, as a JSON merge patch (RFC 7396). */
function merged(old, change) {
  for (const [name, value] of Object.entries(change)) {
    if (value === null) {
      delete old[name];
    } else if (json.isObject(value)) {
      old[name] = merged(json.isObject(old[name]) ? old[name] : Object.create(null), value);
    } else {
      old[name] = value;
    }
  }
  return old;
}

/** Marks the newest version as deleted. */
function markDeleted(call) {
  transactions.attempt((transaction) => {
    const known = record.load(call.key, transaction);
    const version = known?.versions.get(known.currentVersion);
    const now = moments.now();
    if (version?.isLive(now)) {
      version.deleted = now;
      record.save(transaction, call.key, known);
    }
  });
}

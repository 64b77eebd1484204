// `metadata/…`: what is known of a key besides its data, and the list of keys.

import storage from "palisade:plugin/storage@0.1.0";

import * as answers from "./answers.js";
import { versionCount } from "./config.js";
import * as customMetadata from "./custom-metadata.js";
import { exists, keyToWrite } from "./data.js";
import * as fields from "./fields.js";
import { PATH } from "./fields.js";
import * as moments from "./moments.js";
import * as record from "./record.js";
import { METADATA } from "./record.js";
import { Path, written } from "./routes.js";
import * as transactions from "./transactions.js";

const LIMIT_MAX = (1n << 31n) - 1n;

const CAS_REQUIRED = fields.boolean(
  "cas_required",
  "Whether every write of this key has to say which version it replaces. If false, the mount's\n" +
    "setting holds.",
);
const MAX_VERSIONS = fields.integer(
  "max_versions",
  "The number of versions to keep. If not set, the mount's setting holds.",
);
const DELETE_VERSION_AFTER = fields.duration(
  "delete_version_after",
  "How long after its creation a version is deleted, unless the mount deletes earlier. Zero clears\n" +
    "the setting.",
);
const CUSTOM_METADATA = fields.object(
  "custom_metadata",
  "Names and texts that describe the secret.",
);
const AFTER = fields.string("after", "For lists: start behind this name.");
const LIMIT = fields.integer("limit", "For lists: give at most this many names.");

export const path = (settings) =>
  new Path({
    pattern: "metadata/(?P<path>.*)",
    fields: [
      PATH,
      CAS_REQUIRED,
      MAX_VERSIONS,
      DELETE_VERSION_AFTER,
      CUSTOM_METADATA,
      AFTER,
      LIMIT,
    ],
    operations: {
      list,
      read,
      patch: (call) => patch(call, settings),
      delete: remove,
      ...written((call) => write(call, settings)),
    },
    exists,
    synopsis: "Allows interaction with key metadata and settings in the KV store.",
    description:
      "Lists keys, reads what is known of one and all its versions, changes its settings, and\n" +
      "removes it with all its versions.",
  });

/** The names beneath a folder. */
function list(call) {
  const folder = METADATA + call.key;
  const prefix = folder.endsWith("/") ? folder : `${folder}/`;
  // Storage takes every limit below one for "all", and so does what is too large for it.
  const limit = call.get(LIMIT) ?? 0n;
  const most = limit > 0n && limit <= LIMIT_MAX ? Number(limit) : -1;
  const after = call.get(AFTER) ?? "";
  return answers.keys(transactions.withHost(() => storage.listPage(prefix, after, most)));
}

/** Everything that is known of a key but its data. */
function read(call) {
  const known = record.load(call.key);
  if (known === null) return null;
  const versions = Array.from(known.versions, ([number, version]) => [
    number,
    record.shownVersion(version),
  ]);
  return answers.data({
    versions: Object.fromEntries(versions),
    current_version: known.currentVersion,
    oldest_version: known.oldestVersion,
    created_time: moments.shown(known.created),
    updated_time: moments.shown(known.updated),
    max_versions: known.maxVersions,
    cas_required: known.casRequired,
    delete_version_after: moments.goDuration(known.deleteVersionAfter),
    custom_metadata: known.shownCustomMetadata(),
  });
}

/** The settings that a request names; the others, which are undefined, stay as they are. */
class Change {
  constructor({ casRequired, maxVersions, deleteVersionAfter, customMetadata }) {
    Object.assign(this, { casRequired, maxVersions, deleteVersionAfter, customMetadata });
    if (maxVersions !== undefined) versionCount(maxVersions);
  }

  /** What a write names. */
  static written(call) {
    return Change.#of((field) => call.get(field));
  }

  /** What a patch names, where `null` sets a setting back. */
  static patched(call) {
    return Change.#of((field, empty) =>
      call.given[field.name] === null ? empty : call.get(field),
    );
  }

  static #of(value) {
    return new Change({
      casRequired: value(CAS_REQUIRED, false),
      maxVersions: value(MAX_VERSIONS, 0n),
      deleteVersionAfter: value(DELETE_VERSION_AFTER, 0n),
      customMetadata: value(CUSTOM_METADATA, null),
    });
  }

  isEmpty() {
    return Object.values(this).every((value) => value === undefined);
  }

  applySettings(known) {
    known.casRequired = this.casRequired ?? known.casRequired;
    known.maxVersions = this.maxVersions ?? known.maxVersions;
    known.deleteVersionAfter = this.deleteVersionAfter ?? known.deleteVersionAfter;
  }

  /** A remark when the mount asks for check-and-set whatever this key says. */
  answer(mount) {
    if (this.casRequired !== false || !mount.casRequired) return null;
    const warning =
      '"cas_required" set to false, but is mandated by backend config. This value will be ignored.';
    return answers.data(null, [warning]);
  }
}

/** Changes the settings of a key, which may be new. */
function write(call, settings) {
  const [key, change] = [keyToWrite(call), Change.written(call)];
  if (change.isEmpty()) return null;
  const mount = settings.get();
  transactions.attempt((transaction) => {
    const known = record.load(key, transaction) ?? new record.Record(moments.now());
    change.applySettings(known);
    if (change.customMetadata) {
      known.customMetadata = customMetadata.replaced(change.customMetadata);
    }
    record.save(transaction, key, known);
  });
  return change.answer(mount);
}

/** Changes some of the settings of a key that is there. */
function patch(call, settings) {
  const [key, change] = [keyToWrite(call), Change.patched(call)];
  const mount = settings.get();
  const isThere = transactions.attempt((transaction) => {
    const known = record.load(key, transaction);
    if (known === null) return false;
    change.applySettings(known);
    if (change.customMetadata === null) known.customMetadata = {};
    if (change.customMetadata) {
      known.customMetadata = customMetadata.patched(known.customMetadata, change.customMetadata);
    }
    record.save(transaction, key, known);
    return true;
  });
  return isThere ? change.answer(mount) : answers.nothing();
}

/** Removes a key with all its versions. */
function remove(call) {
  transactions.attempt((transaction) => {
    const known = record.load(call.key, transaction);
    if (known === null) return;
    for (const number of known.versions.keys()) {
      record.destroyData(transaction, call.key, number);
    }
    transaction.delete(METADATA + call.key);
  });
}

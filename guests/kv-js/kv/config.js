// `config`: settings of the mount that hold for all its keys.
//
// Almost every request needs them, so they are cached. The cache is told when another store of the mount changes them,
// and it never holds what a request merely intends to write: the host may still refuse the commit.

import * as answers from "./answers.js";
import * as fields from "./fields.js";
import * as json from "./json.js";
import * as moments from "./moments.js";
import { Path, written } from "./routes.js";
import * as transactions from "./transactions.js";

const CONFIG = "config";
const VERSIONS_MAX = (1n << 32n) - 1n;

const MAX_VERSIONS = fields.integer(
  "max_versions",
  "The number of versions that each key keeps. Without it, ten.",
);
const CAS_REQUIRED = fields.boolean(
  "cas_required",
  "Whether every write has to say which version it replaces.",
);
const DELETE_VERSION_AFTER = fields.signedDuration(
  "delete_version_after",
  "How long after its creation a version is deleted. Zero clears the setting; a negative time\n" +
    "switches deletion by age off for all keys.",
);

/** The settings of a mount about which nobody said anything. */
const defaults = () => ({
  // How many versions a key keeps at least; zero when nobody said.
  maxVersions: 0n,
  casRequired: false,
  // In seconds; zero when nobody said, negative when nothing is deleted by age.
  deleteVersionAfter: 0n,
});

/** The settings as they are stored. */
function load(view) {
  const damaged = () => answers.internal("the stored configuration is damaged");
  const stored = transactions.read(CONFIG, damaged, view);
  if (stored === null) return defaults();
  try {
    return {
      maxVersions: json.whole(stored.max_versions),
      casRequired: stored.cas_required,
      deleteVersionAfter: json.whole(stored.delete_version_after),
    };
  } catch {
    throw damaged();
  }
}

function save(transaction, config) {
  transactions.put(transaction, CONFIG, {
    max_versions: config.maxVersions,
    cas_required: config.casRequired,
    delete_version_after: config.deleteVersionAfter,
  });
}

/** The settings as last read. */
export class Cache {
  #config = null;

  /** The settings, from memory or from storage. */
  get() {
    this.#config ??= load();
    return this.#config;
  }

  /** Another store of the mount wrote this key. */
  invalidate(key) {
    if (key === CONFIG) this.forget();
  }

  /** The settings are read again when they are next needed. */
  forget() {
    this.#config = null;
  }
}

export function path(settings) {
  function write(call) {
    try {
      transactions.attempt((transaction) => change(transaction, call));
    } finally {
      settings.forget();
    }
  }

  return new Path({
    pattern: "config",
    fields: [MAX_VERSIONS, CAS_REQUIRED, DELETE_VERSION_AFTER],
    operations: { read: () => shown(settings.get()), ...written(write) },
    synopsis: "Configures settings for the KV store",
    description:
      "Settings that hold for every key of this mount. What a write does not name stays as it is.",
  });
}

const shown = (config) =>
  answers.data({
    max_versions: config.maxVersions,
    cas_required: config.casRequired,
    delete_version_after: moments.goDuration(config.deleteVersionAfter),
  });

function change(transaction, call) {
  const old = load(transaction);
  const count = call.get(MAX_VERSIONS);
  const span = call.get(DELETE_VERSION_AFTER) ?? old.deleteVersionAfter;
  save(transaction, {
    maxVersions: count === undefined ? old.maxVersions : versionCount(count),
    casRequired: call.get(CAS_REQUIRED) ?? old.casRequired,
    // Every negative time means the same, and reads back as -1s.
    deleteVersionAfter: span < 0n ? -1n : span,
  });
}

/** A number of versions to keep, as clients give it. */
export function versionCount(count) {
  if (count < 0n || count > VERSIONS_MAX) {
    throw new answers.Refused(
      `max_versions is ${count}, and has to be from 0 to ${VERSIONS_MAX}`,
    );
  }
  return count;
}

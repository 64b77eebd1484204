// What is stored: for each key its metadata, and for each of its versions the data.
//
//     metadata/KEY       the record
//     versions/KEY/3     the data of one version, written once and never changed

import * as answers from "./answers.js";
import { quote, whole } from "./json.js";
import * as moments from "./moments.js";
import * as transactions from "./transactions.js";

export const METADATA = "metadata/";
const VERSIONS = "versions/";

// How many versions a key keeps when neither it nor the mount says.
const VERSIONS_KEPT = 10n;

/** What is known of one version. */
export class Version {
  constructor({ created, deleted = null, destroyed = false }) {
    this.created = created;
    // When it is, or was, deleted. The data is still there and can be restored.
    this.deleted = deleted;
    // Whether the data is gone for good.
    this.destroyed = destroyed;
  }

  /** Whether the data can be read: it is neither destroyed nor deleted by now. */
  isLive(now) {
    return !this.destroyed && (this.deleted === null || this.deleted > now);
  }
}

/** Everything that is known of a key but its data. */
export class Record {
  // The newest version; zero before the first write.
  currentVersion = 0n;
  // The oldest version that is kept; zero while none was dropped.
  oldestVersion = 0n;
  // How many versions to keep; zero leaves it to the mount.
  maxVersions = 0n;
  casRequired = false;
  // How long after its creation a version is deleted, in seconds; zero leaves it to the mount.
  deleteVersionAfter = 0n;
  customMetadata = {};
  // By their numbers, the oldest first.
  versions = new Map();

  constructor(now) {
    this.created = now;
    this.updated = now;
  }

  /** Adds a version and gives back the numbers of those that are too many now. */
  addVersion(now, config) {
    this.currentVersion += 1n;
    this.updated = now;
    const version = new Version({ created: now, deleted: this.deletionOfNew(now, config) });
    this.versions.set(this.currentVersion, version);
    return this.#dropOldVersions(config);
  }

  /** When a version that appears now is going to be deleted: after the shorter of the key's and the mount's span. */
  deletionOfNew(now, config) {
    if (config.deleteVersionAfter < 0n) return null;
    const spans = [this.deleteVersionAfter, config.deleteVersionAfter].filter((span) => span > 0n);
    if (spans.length === 0) return null;
    return moments.later(now, spans.reduce((a, b) => (a < b ? a : b)));
  }

  #dropOldVersions(config) {
    const wanted = this.maxVersions > config.maxVersions ? this.maxVersions : config.maxVersions;
    const kept = wanted || VERSIONS_KEPT;
    if (this.currentVersion - this.oldestVersion < kept) return [];
    this.oldestVersion = this.currentVersion - kept + 1n;
    const older = [...this.versions.keys()].filter((number) => number < this.oldestVersion);
    older.forEach((number) => this.versions.delete(number));
    return older;
  }

  /** One version as clients see it. */
  shown(number, version) {
    return {
      version: number,
      ...shownVersion(version),
      custom_metadata: this.shownCustomMetadata(),
    };
  }

  /** `null` when there is none, as in OpenBao. */
  shownCustomMetadata() {
    return Object.keys(this.customMetadata).length > 0 ? this.customMetadata : null;
  }
}

/** What every view of a version has. */
export const shownVersion = (version) => ({
  created_time: moments.shown(version.created),
  deletion_time: moments.shown(version.deleted),
  destroyed: version.destroyed,
});

/** What is known of a key. */
export function load(key, view) {
  const stored = transactions.read(METADATA + key, () => damaged(key), view);
  if (stored === null) return null;
  try {
    return fromStored(stored);
  } catch {
    throw damaged(key);
  }
}

function fromStored(stored) {
  const versions = Object.entries(stored.versions).map(([number, version]) => [
    BigInt(number),
    new Version({
      created: moment(version.created),
      deleted: version.deleted && moment(version.deleted),
      destroyed: version.destroyed,
    }),
  ]);
  return Object.assign(new Record(moment(stored.created)), {
    updated: moment(stored.updated),
    currentVersion: whole(stored.current_version),
    oldestVersion: whole(stored.oldest_version),
    maxVersions: whole(stored.max_versions),
    casRequired: stored.cas_required,
    deleteVersionAfter: whole(stored.delete_version_after),
    customMetadata: stored.custom_metadata,
    // Other engines sort the numbers as text.
    versions: new Map(versions.sort(([a], [b]) => (a < b ? -1 : 1))),
  });
}

const moment = (pair) => moments.fromPair(pair.map(whole));

/** Writes what is known of a key. */
export function save(transaction, key, record) {
  const versions = Array.from(record.versions, ([number, version]) => [
    number,
    {
      created: moments.toPair(version.created),
      deleted: version.deleted === null ? null : moments.toPair(version.deleted),
      destroyed: version.destroyed,
    },
  ]);
  transactions.put(transaction, METADATA + key, {
    created: moments.toPair(record.created),
    updated: moments.toPair(record.updated),
    current_version: record.currentVersion,
    oldest_version: record.oldestVersion,
    max_versions: record.maxVersions,
    cas_required: record.casRequired,
    delete_version_after: record.deleteVersionAfter,
    custom_metadata: record.customMetadata,
    versions: Object.fromEntries(versions),
  });
}

/**
 * A version's data, as the client once sent it. `null` when it is not the version that `version` speaks of: somebody
 * changed the key between the two reads.
 */
export function loadData(key, number, version, view) {
  const stored = transactions.read(versionKey(key, number), () => damaged(key), view);
  if (stored === null) return null;
  try {
    return moment(stored.created) === version.created ? stored.data : null;
  } catch {
    throw damaged(key);
  }
}

/** Writes a version's data. */
export function saveData(transaction, key, number, now, data) {
  const value = { created: moments.toPair(now), data };
  transactions.put(transaction, versionKey(key, number), value);
}

/** Removes a version's data for good. */
export function destroyData(transaction, key, number) {
  transaction.delete(versionKey(key, number));
}

// The last segment is the number and everything before it the key, so no two pairs share a storage key.
const versionKey = (key, number) => `${VERSIONS}${key}/${number}`;

// What does not parse was not written by this plugin; its content is not repeated.
const damaged = (key) => answers.internal(`what is stored for the key ${quote(key)} is damaged`);

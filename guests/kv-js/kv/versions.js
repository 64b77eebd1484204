// `delete/…`, `undelete/…` and `destroy/…`: what happens to versions by their numbers.

import { Refused } from "./answers.js";
import * as fields from "./fields.js";
import { PATH } from "./fields.js";
import * as moments from "./moments.js";
import * as record from "./record.js";
import { Path, written } from "./routes.js";
import * as transactions from "./transactions.js";

const VERSIONS = fields.integers("versions", "The numbers of the versions.");

export const paths = (settings) => [
  path({
    verb: "delete",
    missing: "No version number provided",
    act: markDeleted,
    synopsis: "Marks one or more versions as deleted in the KV store.",
    description:
      "The data of these versions stays in storage, and is not read any more until it is restored.",
  }),
  path({
    verb: "undelete",
    missing: "No version number provided",
    act: (change) => restore(change, settings.get()),
    synopsis: "Undeletes one or more versions from the KV store.",
    description: "The data of these versions can be read again.",
  }),
  path({
    verb: "destroy",
    missing: "no version number provided",
    act: destroy,
    synopsis: "Permanently removes one or more versions in the KV store",
    description: "The data of these versions is removed from storage, for good.",
  }),
];

const path = ({ verb, missing, act, synopsis, description }) =>
  new Path({
    pattern: `${verb}/(?P<path>.*)`,
    fields: [PATH, VERSIONS],
    operations: written((call) => change(call, missing, act)),
    synopsis,
    description,
  });

/** Does `act` to the record of the key, for the numbers that the client names. Those that no version has are nothing. */
function change(call, missing, act) {
  const numbers = call.get(VERSIONS) ?? [];
  if (numbers.length === 0) throw new Refused(missing);
  transactions.attempt((transaction) => {
    const known = record.load(call.key, transaction);
    if (known === null) return;
    act({ transaction, key: call.key, known, numbers });
    record.save(transaction, call.key, known);
  });
}

const named = ({ known, numbers }) =>
  numbers.map((number) => known.versions.get(number)).filter((version) => version);

function markDeleted(change) {
  const now = moments.now();
  for (const version of named(change)) {
    if (version.isLive(now)) version.deleted = now;
  }
}

function restore(change, config) {
  // A version that comes back is as good as new: its age counts from now.
  const deletion = change.known.deletionOfNew(moments.now(), config);
  for (const version of named(change)) {
    if (!version.destroyed) version.deleted = deletion;
  }
}

function destroy(change) {
  for (const version of named(change)) version.destroyed = true;
  for (const number of change.numbers) {
    if (number >= 0n) record.destroyData(change.transaction, change.key, number);
  }
}

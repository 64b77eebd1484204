// `subkeys/…`: the names inside a secret, without the values.

import * as answers from "./answers.js";
import { find } from "./data.js";
import * as fields from "./fields.js";
import { PATH, VERSION } from "./fields.js";
import * as json from "./json.js";
import { Path } from "./routes.js";

const DEPTH = fields.integer(
  "depth",
  "How deep to look; what lies deeper shows as null. Zero or nothing means all the way.",
);

export const path = () =>
  new Path({
    pattern: "subkeys/(?P<path>.*)",
    fields: [PATH, VERSION, DEPTH],
    operations: { read },
    synopsis:
      "Read the structure of a secret entry from the Key-Value store with the values removed.",
    description:
      "Every value that is not an object with members shows as null, so that a policy can let\n" +
      "people see what is there and not what it says.",
  });

function read(call) {
  const found = find(call);
  if (found === null) return null;
  const metadata = found.shown;
  if (found.data === null) return answers.notFound(call.request, { subkeys: null, metadata });
  const subkeys = withoutValues(found.data, 1n, call.get(DEPTH) ?? 0n);
  return answers.data({ subkeys, metadata });
}

/** The members with everything but objects with members replaced, and those too below the depth. */
function withoutValues(members, depth, depthMax) {
  const deeper = depthMax === 0n || depth < depthMax;
  const names = Object.create(null);
  for (const [name, value] of Object.entries(members)) {
    const shown = deeper && json.isObject(value) && Object.keys(value).length > 0;
    names[name] = shown ? withoutValues(value, depth + 1n, depthMax) : null;
  }
  return names;
}

// OpenBao's key-value store, version 2, as a component in JavaScript: what the component exports.
//
// It is the example to copy for a plugin in JavaScript, and the same store as `guests/kv`, path for path and in the same
// form in storage. What a mount remembers in memory is a cache: the host may run each request in a new store.
//
// Each file beneath `kv/` has one idea:
//
// | file | idea |
// |---|---|
// | `routes` | finds the path that a request is for, and writes the help texts |
// | `fields` | reads what a client sent, as loosely as OpenBao does |
// | `json` | JSON whose numbers keep their digits |
// | `utf8` | text to bytes and back |
// | `answers` | responses, refusals and errors |
// | `moments` | points and spans of time as clients see them |
// | `transactions` | runs a write again when it met a newer one |
// | `config` | the mount's settings, cached in memory |
// | `record` | what is stored: a key's metadata, and the data of each of its versions |
// | `data` | `data/…`: read, write, patch, delete the newest |
// | `versions` | `delete/…`, `undelete/…`, `destroy/…`: by version number |
// | `metadata` | `metadata/…`: list keys, read and change what is known of a key, remove it whole |
// | `custom-metadata` | the texts that people attach to a key |
// | `subkeys` | `subkeys/…`: the shape of the data without its values |
// | `invalid` | a helpful answer to every other path |

import * as answers from "./kv/answers.js";
import * as config from "./kv/config.js";
import * as data from "./kv/data.js";
import * as invalid from "./kv/invalid.js";
import * as metadata from "./kv/metadata.js";
import { Router } from "./kv/routes.js";
import * as subkeys from "./kv/subkeys.js";
import * as versions from "./kv/versions.js";

const settings = new config.Cache();

// The first path that matches answers, so the one for everything else comes last.
const router = new Router(
  "A key-value store with versions. Every write of a key makes a new version, as many as\n" +
    "the key or the mount keeps; each can be read, deleted, restored and destroyed by its\n" +
    "number.",
  [
    config.path(settings),
    data.path(settings),
    metadata.path(settings),
    ...versions.paths(settings),
    subkeys.path(),
    invalid.path(),
  ],
);

const description = {
  pluginType: "secret",
  // Both stand in the section of the component too, where they are read without running anything. An empty version
  // leaves it to the operator's registration.
  version: "",
  contractVersion: "0.1.0",
  // The data itself is sealed twice where the server can do that; and no read of this plugin changes anything.
  specialPaths: {
    root: [],
    unauthenticated: [],
    localStorage: [],
    sealWrapStorage: ["versions/"],
    writeForwardedStorage: [],
    safeReads: ["*"],
  },
};

/** The interface `backend` of the contract. */
export const backend = {
  describe: () => description,

  setup() {
    settings.forget();
  },

  initialize() {},

  handleRequest(request) {
    try {
      // None is `null` here, and nothing else is.
      return router.handle(request) ?? null;
    } catch (fault) {
      if (fault instanceof answers.Refused) return answers.error(fault.message);
      throw answers.thrown(fault);
    }
  },

  checkExistence(request) {
    try {
      return router.exists(request);
    } catch (fault) {
      throw answers.thrown(fault);
    }
  },

  invalidateKey(key) {
    settings.invalidate(key);
  },

  cleanup() {},
};

// Every other path: mostly clients that take the mount for a store without versions, so they are told the way.

import * as answers from "./answers.js";
import { Path } from "./routes.js";

const ROOTS = ["metadata", "data", "delete", "undelete", "destroy"];

const COMMANDS = {
  create: "put",
  update: "put",
  patch: "patch",
  read: "get",
  delete: "delete",
  list: "list",
  scan: "scan",
};

export const path = () =>
  new Path({
    pattern: ".*",
    fields: [],
    operations: Object.fromEntries(Object.keys(COMMANDS).map((operation) => [operation, answer])),
    synopsis: "Anything else is not a path of this store.",
    description: "Ask for the help of the mount itself to see its paths.",
  });

function answer({ request }) {
  const warning = ROOTS.includes(request.path)
    ? "Non-listing operations on the root of a K/V v2 mount are not supported."
    : "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API " +
      "endpoints to use. If using the OpenBao CLI, use " +
      `'bao kv ${COMMANDS[request.operation]}' for this operation.`;
  return answers.notFound(request, null, [warning]);
}

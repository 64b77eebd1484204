// Finds the path that a request is for, checks its fields and runs its handler; and writes the help texts.

import * as answers from "./answers.js";
import { PATH } from "./fields.js";
import * as json from "./json.js";

/** One request on its way through a handler. */
export class Call {
  #values;

  /** `given` is whatever the client gave, known or not. */
  constructor(request, given, fields) {
    this.request = request;
    this.given = given;
    this.#values = new Map(fields.map((field) => [field, field.of(given)]));
  }

  /** What the client gave for a field of the path; undefined when it gave nothing. */
  get(field) {
    return this.#values.get(field);
  }

  /** The key that the request is for; empty when it names none. */
  get key() {
    return this.get(PATH) ?? "";
  }
}

/**
 * A pattern that has to match the whole path, in the notation of Go's that help texts have; the fields it takes, and what
 * it does for each operation. `exists` tells a create from an update; without it every write is an update.
 */
export class Path {
  #expression;

  constructor({ pattern, fields, operations, exists, synopsis, description }) {
    Object.assign(this, { pattern, fields, operations, exists, synopsis, description });
    // A dot of Go's leaves out the line feed, and nothing else.
    const here = pattern.replace("(?P<", "(?<").replace(".", "[^\\n]");
    this.#expression = new RegExp(`^${here}$`);
  }

  matches(wanted) {
    return this.#expression.test(wanted);
  }

  /** The request with its fields; names in the path win over names in the body. */
  call(request) {
    const named = this.#expression.exec(request.path).groups;
    return new Call(request, { ...body(request.data), ...named }, this.fields);
  }
}

/** Does this when written, whether something was there or not. */
export const written = (handler) => ({ create: handler, update: handler });

function body(data) {
  const value = parsed(data);
  if (value !== null && !json.isObject(value)) throw noObject();
  return value;
}

function parsed(data) {
  try {
    return json.parse(data);
  } catch {
    throw noObject();
  }
}

const noObject = () => new answers.Refused("the request's data is not a JSON object");

/** Paths, tried in their order. */
export class Router {
  #help;
  #paths;

  constructor(help, paths) {
    this.#help = help;
    this.#paths = paths;
  }

  /** Answers one request. */
  handle(request) {
    const { operation } = request;
    if (operation === "help") return this.#helpFor(request.path);
    if (["renew", "revoke", "rollback"].includes(operation)) throw answers.unsupportedOperation();
    const path = this.#find(request.path);
    const handler = path.operations[operation];
    if (!handler) throw answers.unsupportedOperation();
    return handler(path.call(request));
  }

  /** Whether the thing at the request's path exists. */
  exists(request) {
    const path = this.#find(request.path);
    if (!path.exists) return "unchecked";
    return path.exists(path.call(request)) ? "present" : "absent";
  }

  #find(wanted) {
    const path = this.#paths.find((path) => path.matches(wanted));
    if (!path) throw answers.unsupportedPath();
    return path;
  }

  #helpFor(wanted) {
    if (wanted === "") return helpAnswer(helpOfAll(this.#help, this.#paths), this.#paths);
    const path = this.#find(wanted);
    return helpAnswer(helpOfPath(wanted, path), [path]);
  }
}

function helpOfAll(help, paths) {
  const lines = paths.map(({ pattern, synopsis }) => `    ^${pattern}$\n        ${synopsis}\n\n`);
  return (
    `## DESCRIPTION\n\n${help}\n\n## PATHS\n\n` +
    "These are the patterns of the paths that this backend answers. Ask for the help of a path\n" +
    "that matches one of them to learn what it takes. Policies decide which of them your token\n" +
    `may use.\n\n${lines.join("")}`
  );
}

function helpOfPath(wanted, path) {
  const lines = path.fields.map(
    ({ name, kind, description }) =>
      `\n    ${name} (${kind})\n        ${description.replaceAll("\n", "\n        ")}\n`,
  );
  const parameters = lines.length > 0 ? `## PARAMETERS\n${lines.join("")}\n` : "";
  return (
    `Request:        ${wanted}\nMatching Route: ^${path.pattern}$\n\n${path.synopsis}\n\n` +
    `${parameters}## DESCRIPTION\n\n${path.description}\n`
  );
}

function helpAnswer(help, paths) {
  const documents = paths.map(({ pattern, synopsis }) => [
    `^${pattern}$`,
    { description: synopsis },
  ]);
  const openapi = {
    openapi: "3.0.2",
    info: { title: "Palisade plugin", version: "0.1.0" },
    paths: Object.fromEntries(documents),
  };
  return answers.data({ help, see_also: null, openapi });
}

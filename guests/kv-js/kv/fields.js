// Reads what a client sent for a field. Clients are loose about types, so what is unambiguous is accepted as OpenBao's
// framework accepts it (`"10"` for 10, `"true"` for true). A refusal names both types and never the value.

import { Refused } from "./answers.js";
import * as json from "./json.js";
import * as moments from "./moments.js";

/** A value does not fit its field. */
export class Mismatch extends Error {}

/** A field that a path takes. `read` makes what the plugin wants of a value of JSON; `kind` is the word that help shows. */
export class Field {
  constructor(name, kind, read, description) {
    Object.assign(this, { name, kind, read, description });
  }

  /** What the client gave; undefined for nothing and for `null`. */
  of(given) {
    const value = given[this.name] ?? null;
    if (value === null) return undefined;
    try {
      return this.read(value);
    } catch (fault) {
      if (!(fault instanceof Mismatch)) throw fault;
      const name = json.quote(this.name);
      throw new Refused(
        `Field validation failed: error converting input for field ${name}: ${fault.message}`,
      );
    }
  }
}

export const string = (name, description) => new Field(name, "string", text, description);
export const integer = (name, description) => new Field(name, "int", whole, description);
export const integers = (name, description) => new Field(name, "slice", wholeList, description);
export const boolean = (name, description) => new Field(name, "bool", flag, description);
export const object = (name, description) => new Field(name, "map", members, description);
export const duration = (name, description) =>
  new Field(name, "duration (sec)", span, description);
export const signedDuration = (name, description) =>
  new Field(name, "signed duration (sec)", signedSpan, description);

function mismatch(expected, value) {
  return new Mismatch(`expected ${expected}, got ${kind(value)}`);
}

function kind(value) {
  if (value === null) return "null";
  if (typeof value === "boolean") return "a boolean";
  if (typeof value === "string") return "text";
  if (json.isNumber(value)) return "a number of another kind";
  return Array.isArray(value) ? "a list" : "an object";
}

/** Text; a number gives its digits and a boolean `1` or `0`. */
export function text(value) {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "1" : "0";
  if (json.isNumber(value)) return json.digits(value);
  throw mismatch("text", value);
}

/** A whole number of 64 bits. */
export function whole(value) {
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value !== "string" && !json.isNumber(value)) throw mismatch("a whole number", value);
  const digits = text(value).trim();
  if (digits === "") return 0n;
  if (/^[+-]?[0-9]{1,19}$/.test(digits)) {
    const number = BigInt(digits.replace(/^\+/, ""));
    if (number === BigInt.asIntN(64, number)) return number;
  }
  throw mismatch("a whole number of 64 bits", value);
}

function wholeList(value) {
  if (Array.isArray(value)) return value.map(whole);
  if (json.isNumber(value)) return [whole(value)];
  if (typeof value !== "string") throw mismatch("a list of whole numbers", value);
  const parts = value.split(",").map((part) => part.trim());
  return parts.filter((part) => part !== "").map(whole);
}

const TRUE = ["1", "t", "T", "true", "TRUE", "True"];
const FALSE = ["", "0", "f", "F", "false", "FALSE", "False"];

function flag(value) {
  if (typeof value === "boolean") return value;
  if (json.isNumber(value)) return whole(value) !== 0n;
  if (TRUE.includes(value)) return true;
  if (FALSE.includes(value)) return false;
  throw mismatch("true or false", value);
}

function signedSpan(value) {
  if (typeof value !== "string") return whole(value);
  const seconds = moments.parseSeconds(value);
  if (seconds === null) throw mismatch("a duration such as 90 or 1h30m", value);
  return seconds;
}

function span(value) {
  const seconds = signedSpan(value);
  if (seconds < 0n) throw new Mismatch("expected a duration of zero or more, got a negative one");
  return seconds;
}

function members(value) {
  if (!json.isObject(value)) throw mismatch("an object", value);
  return value;
}

// The fields that several paths share.
export const PATH = string("path", "Location of the secret.");
export const VERSION = integer(
  "version",
  "The version to read; the newest when it is not given.",
);

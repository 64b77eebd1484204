// JSON whose numbers keep their digits: each is kept as the text that it was, until somebody asks for a whole number.

/** The value of JSON text. A number is what `JSON.rawJSON` makes, so that 30 digits come back as they came. */
export const parse = (text) => JSON.parse(text, keepDigits);

/** The JSON text of a value; whole numbers may be of the type `bigint`. */
export const write = (value) => JSON.stringify(value, writeWhole);

/** Text in quotes, for error texts. */
export const quote = (text) => JSON.stringify(text);

/** Whether a value is a number that `parse` made. */
export const isNumber = (value) => JSON.isRawJSON(value);

/** The digits of a number that `parse` made. */
export const digits = (number) => number.rawJSON;

/** Whether a value is an object of JSON: no list, no number, not `null`. */
export const isObject = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !isNumber(value);

function keepDigits(_name, value, { source }) {
  if (typeof value === "number") return JSON.rawJSON(source);
  // Without a prototype a member is what was sent, `__proto__` and `constructor` included.
  return isObject(value) ? Object.setPrototypeOf(value, null) : value;
}

const writeWhole = (_name, value) =>
  typeof value === "bigint" ? JSON.rawJSON(String(value)) : value;

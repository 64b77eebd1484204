// JSON whose numbers keep their digits: each is kept as the text that it was, until somebody asks for a whole number.
//
// The language's own `JSON.parse` can tell a reviver the text of a number, but not when an object has two members of that
// name; so objects, lists and numbers are read here, and texts are left to it.

/** The value of JSON text. A number is what `JSON.rawJSON` makes, so that 30 digits come back as they came. */
export const parse = (text) => new Reader(text).whole();

/** The JSON text of a value; whole numbers may be of the type `bigint`. */
export const write = (value) => JSON.stringify(value, writeWhole);

const writeWhole = (_name, value) =>
  typeof value === "bigint" ? JSON.rawJSON(String(value)) : value;

/** Text in quotes, for error texts. */
export const quote = (text) => JSON.stringify(text);

/** Whether a value is a number that `parse` made. */
export const isNumber = (value) => JSON.isRawJSON(value);

/** The digits of a number that `parse` made. */
export const digits = (number) => number.rawJSON;

/** A number that `parse` made, as a whole one. Throws when it is none. */
export const whole = (number) => BigInt(digits(number));

/** Whether a value is an object of JSON: no list, no number, not `null`. */
export const isObject = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !isNumber(value);

// What is nested deeper is refused; the engine's stack would end otherwise, which is a trap.
const DEPTH_MAX = 128;

const BLANKS = " \t\n\r";
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORDS = new Map([
  ["t", ["true", true]],
  ["f", ["false", false]],
  ["n", ["null", null]],
]);

/** Reads a text from its beginning to its end. */
class Reader {
  #text;
  #at = 0;
  #depth = 0;

  constructor(text) {
    this.#text = text;
  }

  whole() {
    const value = this.#value();
    if (this.#next() !== undefined) throw new SyntaxError("something follows the value");
    return value;
  }

  #value() {
    const first = this.#next();
    if (first === "{") return this.#object();
    if (first === "[") return this.#list();
    if (first === '"') return this.#string();
    return WORDS.has(first) ? this.#word(...WORDS.get(first)) : this.#number();
  }

  #object() {
    // Without a prototype a member is what was sent, `__proto__` and `constructor` included.
    const members = Object.create(null);
    this.#items("{", "}", () => {
      if (this.#next() !== '"') throw new SyntaxError("a name is no text");
      const name = this.#string();
      this.#expect(":");
      members[name] = this.#value();
    });
    return members;
  }

  #list() {
    const values = [];
    this.#items("[", "]", () => values.push(this.#value()));
    return values;
  }

  /** Reads items between brackets, with commas between them. */
  #items(open, close, item) {
    this.#expect(open);
    if (++this.#depth > DEPTH_MAX) throw new SyntaxError("nested too deeply");
    if (this.#next() !== close) {
      item();
      while (this.#next() === ",") {
        this.#at += 1;
        item();
      }
    }
    this.#expect(close);
    this.#depth -= 1;
  }

  #string() {
    const start = this.#at;
    let end = start;
    do {
      end = this.#text.indexOf('"', end + 1);
      if (end < 0) throw new SyntaxError("a text has no end");
    } while (this.#isEscaped(end));
    this.#at = end + 1;
    return JSON.parse(this.#text.slice(start, this.#at));
  }

  /** Whether an odd number of backslashes stands before. */
  #isEscaped(at) {
    let before = at;
    while (this.#text[before - 1] === "\\") before -= 1;
    return (at - before) % 2 === 1;
  }

  #word(word, value) {
    if (!this.#text.startsWith(word, this.#at)) throw new SyntaxError(`expected ${word}`);
    this.#at += word.length;
    return value;
  }

  #number() {
    NUMBER.lastIndex = this.#at;
    const found = NUMBER.exec(this.#text);
    if (!found) throw new SyntaxError("expected a value");
    this.#at = NUMBER.lastIndex;
    return JSON.rawJSON(found[0]);
  }

  /** The next symbol that is no blank; undefined at the end. */
  #next() {
    while (BLANKS.includes(this.#text[this.#at])) this.#at += 1;
    return this.#text[this.#at];
  }

  #expect(symbol) {
    if (this.#next() !== symbol) throw new SyntaxError(`expected ${symbol}`);
    this.#at += 1;
  }
}

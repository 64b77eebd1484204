// The texts that people attach to a key: what is allowed, and how they are changed. They are kept sorted by their names.

import { Refused } from "./answers.js";
import * as fields from "./fields.js";
import { quote } from "./json.js";
import * as utf8 from "./utf8.js";

const KEYS_MAX = 64;
const KEY_BYTES_MAX = 128;
const VALUE_BYTES_MAX = 512;

const FAILED = "custom_metadata validation failed";

// Control characters, halves of pairs, and of the blanks all but the space.
const UNPRINTABLE = /(?! )[\p{Cc}\p{Cs}\p{White_Space}]/u;

/** The texts that replace all that were there. */
export const replaced = (given) => patched({}, given, () => "");

/** The texts that were there, with the given ones over them; what is `null` becomes what `ofNull` says: none removes it. */
export function patched(old, given, ofNull = () => undefined) {
  const texts = new Map(Object.entries(old));
  for (const [name, value] of sorted(Object.entries(given))) {
    const text = value === null ? ofNull() : textOf(value);
    if (text === undefined) texts.delete(name);
    else texts.set(name, text);
  }
  return checked(sorted(texts));
}

/** By the bytes of the names, as every engine sorts them. */
function sorted(texts) {
  const keyed = Array.from(texts, (text) => [utf8.encode(text[0]).toHex(), text]);
  return keyed.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
}

function textOf(value) {
  try {
    return fields.text(value);
  } catch (fault) {
    throw fault instanceof fields.Mismatch ? new Refused(`${FAILED}: ${fault.message}`) : fault;
  }
}

/** Tells everything that is wrong at once. With too many texts, nothing else is looked at. */
function checked(texts) {
  const found = texts.length > KEYS_MAX ? [tooMany(texts.length)] : texts.flatMap(faults);
  if (found.length === 0) return withoutPrototype(texts);
  // The form in which OpenBao's clients know them.
  const count = found.length === 1 ? "1 error" : `${found.length} errors`;
  const lines = found.map((fault) => `* ${FAILED}: ${fault}`);
  throw new Refused(`${count} occurred:\n\t${lines.join("\n\t")}\n\n`);
}

const tooMany = (count) => `payload must contain at most ${KEYS_MAX} keys, provided ${count}`;

function faults([name, text]) {
  const shown = quote(name);
  const [nameBytes, textBytes] = [utf8.encode(name).length, utf8.encode(text).length];
  const rules = [
    [
      nameBytes > 0 && nameBytes <= KEY_BYTES_MAX,
      `length of key ${shown} is ${nameBytes} but must be 0 < len(key) <= ${KEY_BYTES_MAX}`,
    ],
    [
      textBytes > 0 && textBytes <= VALUE_BYTES_MAX,
      `length of value for key ${shown} is ${textBytes} but must be 0 < len(value) <= ${VALUE_BYTES_MAX}`,
    ],
    [!UNPRINTABLE.test(name), `key ${shown} (${name}) contains unprintable characters`],
    [!UNPRINTABLE.test(text), `value for key ${shown} contains unprintable characters`],
  ];
  return rules.filter(([holds]) => !holds).map(([, fault]) => fault);
}

const withoutPrototype = (entries) =>
  entries.reduce((all, [name, text]) => {
    all[name] = text;
    return all;
  }, Object.create(null));

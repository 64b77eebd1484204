// Text to UTF-8 and back: the engine has no TextEncoder.

/** The bytes of a text. */
export function encode(text) {
  const bytes = new Uint8Array(3 * text.length);
  let length = 0;
  for (const symbol of text) {
    const code = symbol.codePointAt(0);
    if (code < 0x80) {
      bytes[length++] = code;
    } else if (code < 0x800) {
      bytes[length++] = 0xc0 | (code >> 6);
      bytes[length++] = 0x80 | (code & 0x3f);
    } else if (code < 0x10000) {
      bytes[length++] = 0xe0 | (code >> 12);
      bytes[length++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[length++] = 0x80 | (code & 0x3f);
    } else {
      bytes[length++] = 0xf0 | (code >> 18);
      bytes[length++] = 0x80 | ((code >> 12) & 0x3f);
      bytes[length++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[length++] = 0x80 | (code & 0x3f);
    }
  }
  return bytes.subarray(0, length);
}

// How many code points are made into text at once: each is an argument of a call.
const CHUNK = 4096;

/** The text of bytes that are UTF-8. Throws, or gives some other text, when they are none. */
export function decode(bytes) {
  const parts = [];
  let codes = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++];
    let following = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    let code = first < 0x80 ? first : first & (0x3f >> following);
    for (; following > 0; following -= 1) code = (code << 6) | (bytes[at++] & 0x3f);
    if (codes.push(code) === CHUNK) {
      parts.push(String.fromCodePoint(...codes));
      codes = [];
    }
  }
  return parts.join("") + String.fromCodePoint(...codes);
}

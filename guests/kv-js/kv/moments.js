// Points in time and spans of it, as the store keeps them and as clients see them. A moment is nanoseconds since the Unix
// epoch, a span is whole seconds; both are of the type `bigint`, since they have 64 bits and more.

import clock from "palisade:plugin/clock@0.1.0";

const SECOND = 1_000_000_000n;
const SECONDS_MAX = (1n << 63n) - 1n;

// The years from 1 to 9999 are what clients can be shown.
const SHOWN_MIN = -62_135_596_800n;
const SHOWN_MAX = 253_402_300_799n;

// In nanoseconds.
const UNITS = new Map([
  ["ns", 1n],
  ["us", 1_000n],
  ["µs", 1_000n],
  ["μs", 1_000n],
  ["ms", 1_000_000n],
  ["s", SECOND],
  ["m", 60n * SECOND],
  ["h", 3_600n * SECOND],
  ["d", 86_400n * SECOND],
]);
const DECIMALS_MAX = 12;
const PART = /([0-9]{1,19})?(?:\.([0-9]{0,12}))?([a-zµμ]+)/y;

/** The host's clock. */
export function now() {
  const { seconds, nanos } = clock.now();
  return fromPair([BigInt(seconds), BigInt(nanos)]);
}

/** The moment of whole seconds and the nanoseconds on top, as the store keeps it. */
export const fromPair = ([seconds, nanos]) => seconds * SECOND + nanos;

/** Whole seconds and the nanoseconds on top. */
export function toPair(moment) {
  const nanos = ((moment % SECOND) + SECOND) % SECOND;
  return [(moment - nanos) / SECOND, nanos];
}

/** So many seconds later, at the most as late as can be stored. */
export function later(moment, span) {
  const [seconds, nanos] = toPair(moment);
  const sum = seconds + span;
  return fromPair([sum < SECONDS_MAX ? sum : SECONDS_MAX, nanos]);
}

/** RFC 3339 in UTC with as many decimals as needed; empty for "never" and for what the form cannot express. */
export function shown(moment) {
  if (moment === null) return "";
  const [seconds, nanos] = toPair(moment);
  if (seconds < SHOWN_MIN || seconds > SHOWN_MAX) return "";
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, "2000-01-01T00:00:00".length);
  const decimals = String(nanos).padStart(9, "0").replace(/0+$/, "");
  return decimals ? `${text}.${decimals}Z` : `${text}Z`;
}

/** Whole seconds from `90`, `-1`, `15m`, `1h30m`, `1.5h` or `2d`, as Go reads them; fractions are cut. */
export function parseSeconds(text) {
  const span = text.trim();
  if (span === "") return 0n;
  if (/^[+-]?[0-9]{1,19}$/.test(span)) return bounded(BigInt(span.replace(/^\+/, "")));
  const sign = span.startsWith("-") ? -1n : 1n;
  const seconds = sumOfParts(span.replace(/^[+-]/, ""));
  return seconds === null ? null : bounded(sign * seconds);
}

/** The seconds of parts such as `1h` and `30m`; `null` when it does not consist of them. */
function sumOfParts(text) {
  let sum = 0n;
  PART.lastIndex = 0;
  do {
    const part = PART.exec(text);
    const unit = part && UNITS.get(part[3]);
    if (!unit || !(part[1] || part[2])) return null;
    sum += BigInt((part[1] ?? "") + (part[2] ?? "").padEnd(DECIMALS_MAX, "0")) * unit;
  } while (PART.lastIndex < text.length);
  return sum / (SECOND * 10n ** BigInt(DECIMALS_MAX));
}

const bounded = (seconds) =>
  seconds === BigInt.asIntN(64, seconds) ? seconds : null;

/** Whole seconds as Go's `Duration.String` writes them: `0s`, `45s`, `1m30s`, `1h0m0s`, `-1s`. */
export function goDuration(span) {
  const total = span < 0n ? -span : span;
  const [hours, minutes, seconds] = [total / 3_600n, (total / 60n) % 60n, total % 60n];
  const sign = span < 0n ? "-" : "";
  if (hours > 0n) return `${sign}${hours}h${minutes}m${seconds}s`;
  return minutes > 0n ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}

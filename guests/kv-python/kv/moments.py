"""Points in time and spans of it, as the store keeps them and as clients see them."""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from wit_world.imports import clock

# Seconds and nanoseconds since the Unix epoch, as the store keeps it.
Moment = tuple[int, int]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = (1 << 63) - 1
_UNITS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "μs": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
_PART = re.compile(r"([0-9]{1,19}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})([a-zµμ]+)")
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")


def now() -> Moment:
    """The host's clock."""
    time = clock.now()
    return (time.seconds, time.nanos)


def later(moment: Moment, seconds: int) -> Moment:
    """So many seconds later, at the most as late as can be stored."""
    return (min(moment[0] + seconds, _LATEST), moment[1])


def shown(moment: Moment | None) -> str:
    """RFC 3339 in UTC with as many decimals as needed; empty for "never" and for what the form cannot express."""
    if moment is None:
        return ""
    try:
        time = _EPOCH + timedelta(seconds=moment[0])
    except OverflowError:
        return ""
    # `%Y` would not pad a year to four digits everywhere.
    text = f"{time.year:04}" + time.strftime("-%m-%dT%H:%M:%S")
    decimals = f"{moment[1]:09}".rstrip("0")
    return f"{text}.{decimals}Z" if decimals else f"{text}Z"


def parse_seconds(text: str) -> int | None:
    """Whole seconds from `90`, `-1`, `15m`, `1h30m`, `1.5h` or `2d`, as Go reads them; fractions are cut."""
    text = text.strip()
    if not text:
        return 0
    if _WHOLE.fullmatch(text):
        return _bounded(int(text))
    sign, rest = (-1, text[1:]) if text[0] == "-" else (1, text.removeprefix("+"))
    total, at = Fraction(0), 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None or part[2] not in _UNITS:
            return None
        total += Fraction(part[1].removesuffix(".") or "0") * _UNITS[part[2]]
        at = part.end()
    return _bounded(sign * int(total)) if at else None


def _bounded(seconds: int) -> int | None:
    return seconds if -_LATEST - 1 <= seconds <= _LATEST else None


def go_duration(seconds: int) -> str:
    """Whole seconds as Go's `Duration.String` writes them: `0s`, `45s`, `1m30s`, `1h0m0s`, `-1s`."""
    sign, total = ("-" if seconds < 0 else ""), abs(seconds)
    hours, minutes, rest = total // 3600, total // 60 % 60, total % 60
    if hours:
        return f"{sign}{hours}h{minutes}m{rest}s"
    return f"{sign}{minutes}m{rest}s" if minutes else f"{sign}{rest}s"

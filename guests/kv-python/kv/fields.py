"""Reads what a client sent for a field. Clients are loose about types, so what is unambiguous is accepted as OpenBao's
framework accepts it (`"10"` for 10, `"true"` for true). A refusal names both types and never the value.
"""

from collections.abc import Callable
from dataclasses import dataclass

from kv import jsontext, moments
from kv.answers import Refused
from kv.jsontext import Raw


class Mismatch(Exception):
    """A value does not fit its field."""


@dataclass(frozen=True)
class Field:
    """A field that a path takes. `read` takes its JSON text apart; `kind` is the word that help shows."""

    name: str
    kind: str
    read: Callable[[str], object]
    description: str

    def of(self, given: dict[str, Raw]):
        """What the client gave; none for nothing and for `null`."""
        text = given.get(self.name)
        if text is None or text == "null":
            return None
        try:
            return self.read(text)
        except Mismatch as fault:
            name = jsontext.quote(self.name)
            raise Refused(
                f"Field validation failed: error converting input for field {name}: {fault}"
            ) from None


def string(name: str, description: str) -> Field:
    return Field(name, "string", text, description)


def integer(name: str, description: str) -> Field:
    return Field(name, "int", whole, description)


def boolean(name: str, description: str) -> Field:
    return Field(name, "bool", flag, description)


def duration(name: str, description: str) -> Field:
    return Field(name, "duration (sec)", span, description)


def signed_duration(name: str, description: str) -> Field:
    return Field(name, "signed duration (sec)", signed_span, description)


def mapping(name: str, description: str) -> Field:
    """An object, taken apart one level deep."""
    return Field(name, "map", members, description)


def document(name: str, description: str) -> Field:
    """An object as the client wrote it."""
    return Field(name, "map", whole_object, description)


def integers(name: str, description: str) -> Field:
    return Field(name, "slice", whole_list, description)


def _mismatch(expected: str, value) -> Mismatch:
    match value:
        case None:
            found = "null"
        case bool():
            found = "a boolean"
        case Raw():
            found = "a number of another kind"
        case str():
            found = "text"
        case list():
            found = "a list"
        case _:
            found = "an object"
    return Mismatch(f"expected {expected}, got {found}")


def text(raw: str) -> str:
    """Text; a number gives its digits and a boolean `1` or `0`."""
    value = jsontext.parse(raw)
    match value:
        case bool():
            return "1" if value else "0"
        case str():
            return str(value)
    raise _mismatch("text", value)


def whole(raw: str) -> int:
    return _whole(jsontext.parse(raw))


def _whole(value) -> int:
    match value:
        case bool():
            return int(value)
        case str():
            digits = value.strip()
        case _:
            raise _mismatch("a whole number", value)
    if not digits and not isinstance(value, Raw):
        return 0
    unsigned = digits.removeprefix("-") if digits[:1] == "-" else digits.removeprefix("+")
    if unsigned.isascii() and unsigned.isdecimal() and len(unsigned) <= 19:
        number = int(digits)
        if -(1 << 63) <= number < 1 << 63:
            return number
    raise _mismatch("a whole number of 64 bits", value)


def flag(raw: str) -> bool:
    value = jsontext.parse(raw)
    match value:
        case bool():
            return value
        case Raw():
            return _whole(value) != 0
        case "1" | "t" | "T" | "true" | "TRUE" | "True":
            return True
        case "" | "0" | "f" | "F" | "false" | "FALSE" | "False":
            return False
    raise _mismatch("true or false", value)


def signed_span(raw: str) -> int:
    value = jsontext.parse(raw)
    if not isinstance(value, str) or isinstance(value, Raw):
        return _whole(value)
    seconds = moments.parse_seconds(value)
    if seconds is None:
        raise _mismatch("a duration such as 90 or 1h30m", value)
    return seconds


def span(raw: str) -> int:
    seconds = signed_span(raw)
    if seconds < 0:
        raise Mismatch("expected a duration of zero or more, got a negative one")
    return seconds


def members(raw: str) -> dict[str, Raw]:
    value = jsontext.parse(raw)
    if not isinstance(value, dict):
        raise _mismatch("an object", value)
    return jsontext.members(raw)


def whole_object(raw: str) -> Raw:
    members(raw)
    return Raw(raw)


def whole_list(raw: str) -> list[int]:
    value = jsontext.parse(raw)
    match value:
        case list():
            return [_whole(item) for item in value]
        case Raw():
            return [_whole(value)]
        case str():
            return [_whole(part.strip()) for part in value.split(",") if part.strip()]
    raise _mismatch("a list of whole numbers", value)


# The fields that several paths share.
PATH = string("path", "Location of the secret.")
VERSION = integer("version", "The version to read; the newest when it is not given.")

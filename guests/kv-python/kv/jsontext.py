"""JSON whose numbers keep their digits: they are kept as text, and so is whatever a client only wants back."""

import json
import re


class Raw(str):
    """JSON text that is written as it is: a number, or a whole value that nobody looks into."""


def _refuse(word):
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(parse_int=Raw, parse_float=Raw, parse_constant=_refuse)
_BLANKS = re.compile(r"[ \t\n\r]*")


def parse(text: str):
    """The value of JSON text, with each number as `Raw`. Raises ValueError, as for what is nested too deeply."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def members(text: str) -> dict[str, Raw]:
    """The members of a JSON object, each as the text that it was. Raises ValueError when it is none."""
    try:
        return _members(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _members(text: str) -> dict[str, Raw]:
    found: dict[str, Raw] = {}
    at = _expect(text, "{", _skip(text, 0))
    while text[at : at + 1] != "}":
        if found:
            at = _expect(text, ",", at)
        name, at = _DECODER.raw_decode(text, at)
        if type(name) is not str:
            raise ValueError("a name is no text")
        start = _expect(text, ":", _skip(text, at))
        _, end = _DECODER.raw_decode(text, start)
        found[name] = Raw(text[start:end])
        at = _skip(text, end)
    if _skip(text, at + 1) != len(text):
        raise ValueError("something follows the object")
    return found


def _skip(text: str, at: int) -> int:
    return _BLANKS.match(text, at).end()


def _expect(text: str, symbol: str, at: int) -> int:
    if text[at : at + 1] != symbol:
        raise ValueError(f"expected {symbol}")
    return _skip(text, at + 1)


def write(value) -> str:
    """The JSON text of a value."""
    match value:
        case Raw():
            return str(value)
        case dict():
            inner = (f"{json.dumps(name)}:{write(member)}" for name, member in value.items())
            return "{" + ",".join(inner) + "}"
        case list() | tuple():
            return "[" + ",".join(write(item) for item in value) + "]"
        case _:
            return json.dumps(value)


def quote(text: str) -> str:
    """Text in quotes, for error texts."""
    return json.dumps(text, ensure_ascii=False)

"""The texts that people attach to a key: what is allowed, and how they are changed."""

import unicodedata

from kv import fields
from kv.answers import Refused
from kv.jsontext import Raw, quote

KEYS_MAX = 64
KEY_BYTES_MAX = 128
VALUE_BYTES_MAX = 512

FAILED = "custom_metadata validation failed"


def replaced(given: dict[str, Raw]) -> dict[str, str]:
    """The texts that replace all that were there."""
    return _checked({name: _text(value) for name, value in sorted(given.items())})


def patched(texts: dict[str, str], given: dict[str, Raw]) -> dict[str, str]:
    """The texts that were there, with the given ones over them; `null` removes one."""
    texts = dict(texts)
    for name, value in sorted(given.items()):
        if value == "null":
            texts.pop(name, None)
        else:
            texts[name] = _text(value)
    return _checked(texts)


def _text(value: Raw) -> str:
    if value == "null":
        return ""
    try:
        return fields.text(value)
    except fields.Mismatch as fault:
        raise Refused(f"{FAILED}: {fault}") from None


def _checked(texts: dict[str, str]) -> dict[str, str]:
    """Tells everything that is wrong at once. With too many texts, nothing else is looked at."""
    texts = dict(sorted(texts.items()))
    if len(texts) > KEYS_MAX:
        faults = [
            f"{FAILED}: payload must contain at most {KEYS_MAX} keys, provided {len(texts)}"
        ]
    else:
        faults = [fault for name, value in texts.items() for fault in _faults(name, value)]
    if faults:
        # The form in which OpenBao's clients know them.
        count = "1 error" if len(faults) == 1 else f"{len(faults)} errors"
        raise Refused(
            f"{count} occurred:\n\t" + "\n\t".join(f"* {fault}" for fault in faults) + "\n\n"
        )
    return texts


def _faults(name: str, value: str):
    key_bytes, value_bytes = _length(name), _length(value)
    if not 0 < key_bytes <= KEY_BYTES_MAX:
        yield (
            f"{FAILED}: length of key {quote(name)} is {key_bytes} "
            f"but must be 0 < len(key) <= {KEY_BYTES_MAX}"
        )
    if not 0 < value_bytes <= VALUE_BYTES_MAX:
        yield (
            f"{FAILED}: length of value for key {quote(name)} is {value_bytes} "
            f"but must be 0 < len(value) <= {VALUE_BYTES_MAX}"
        )
    if not _is_printable(name):
        yield f"{FAILED}: key {quote(name)} ({name}) contains unprintable characters"
    if not _is_printable(value):
        yield f"{FAILED}: value for key {quote(name)} contains unprintable characters"


def _length(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def _is_printable(text: str) -> bool:
    """Whether all characters can be printed; of the blanks only the space can."""
    return all(
        symbol == " " or not (unicodedata.category(symbol) in ("Cc", "Cs") or symbol.isspace())
        for symbol in text
    )

"""`data/…`: the newest version of a key, or one by its number."""

from dataclasses import dataclass

from wit_world.imports.types import Operation, Request, Response

from kv import answers, config, fields, jsontext, moments, record, routes, transactions
from kv.answers import Refused
from kv.config import Config
from kv.fields import PATH, VERSION
from kv.jsontext import Raw
from kv.record import Record
from kv.routes import Call

ATTEMPTS_MAX = 3

OPTIONS = fields.mapping(
    "options",
    "Options of a write. With `cas` it is made only if that is the key's newest version; zero means\n"
    "that there must be none yet.",
)
DATA = fields.document("data", "What to store, and what a read gives back.")


def path(settings: config.Cache) -> routes.Path:
    def write(call: Call) -> Response:
        key, data = key_to_write(call), data_to_write(call)
        config = settings.get()
        return transactions.attempt(lambda it: _write_once(it, call, config, key, data))

    def patch(call: Call) -> Response:
        key, change = key_to_write(call), data_to_write(call)
        config = settings.get()
        return transactions.attempt(lambda it: _patch_once(it, call, config, key, change))

    return routes.Path(
        pattern="data/(?P<path>.*)",
        fields=[PATH, VERSION, OPTIONS, DATA],
        operations={
            Operation.READ: read,
            Operation.PATCH: patch,
            Operation.DELETE: delete,
        }
        | routes.written(write),
        exists=exists,
        synopsis="Write, Patch, Read, and Delete data in the Key-Value Store.",
        description="A write makes a new version of the key. A patch makes one by changing part of the newest,\n"
        "as a JSON merge patch. A read gives the newest version, or the one that `version` names.\n"
        "A delete marks the newest version as deleted, which can be undone.",
    )


def key_to_write(call: Call) -> str:
    """The key that a write is for."""
    key = call.get(PATH, "")
    if not key:
        raise Refused("missing path")
    return key


def exists(call: Call) -> bool:
    """Whether the key is there at all, even with all its versions deleted."""
    return record.load(call.get(PATH, "")) is not None


@dataclass
class Found:
    """What a read found: the version's data, none when it is deleted or destroyed, and what is known of it."""

    data: Raw | None
    shown: dict


def find(call: Call) -> Found | None:
    """Reads the version that the call asks for; none when there is no such key or version.

    The metadata and the data are two reads with no transaction around them. When the key changes in between, the
    second shows it, and both are made again.
    """
    key, wanted = call.get(PATH, ""), call.get(VERSION, 0)
    for _ in range(ATTEMPTS_MAX):
        known = record.load(key)
        number = wanted if known is None or wanted > 0 else known.current_version
        if known is None or number not in known.versions:
            return None
        version = known.versions[number]
        shown = known.shown(number, version)
        if not version.is_live(moments.now()):
            return Found(None, shown)
        data = record.load_data(key, number, version)
        if data is not None:
            return Found(data, shown)
    raise answers.internal("could not find version data")


def read(call: Call) -> Response | None:
    """Gives the data and what is known of the version."""
    found = find(call)
    if found is None:
        return None
    body = {"data": found.data, "metadata": found.shown}
    return answers.not_found(body, call.request) if found.data is None else answers.data(body)


def data_to_write(call: Call) -> Raw:
    data = call.get(DATA)
    if data is None:
        raise Refused("no data provided")
    return data


def _write_once(transaction, call: Call, config: Config, key: str, data: Raw) -> Response:
    now = moments.now()
    known = record.load(key, transaction) or Record(created=now, updated=now)
    check_and_set(call, config, known)
    return _add_version(transaction, config, key, known, data)


def check_and_set(call: Call, config: Config, known: Record) -> None:
    """Refuses a write that expects another version to be the newest, or that has to say which and does not."""
    cas = call.get(OPTIONS, {}).get("cas")
    if cas is None:
        if config.cas_required or known.cas_required:
            raise Refused("check-and-set parameter required for this call")
    elif _cas_version(cas) != known.current_version:
        raise Refused("check-and-set parameter did not match the current version")


def _cas_version(cas: Raw) -> int:
    if cas == "null":
        return 0
    try:
        return fields.whole(cas)
    except fields.Mismatch:
        raise Refused("error parsing check-and-set parameter") from None


def _add_version(transaction, config: Config, key: str, known: Record, data: Raw) -> Response:
    """Writes the data as the newest version, drops what is too old, and tells what was made."""
    now = moments.now()
    too_old = known.add_version(now, config)
    number = known.current_version
    record.save_data(transaction, key, number, now, data)
    record.save(transaction, key, known)
    for old in too_old:
        record.destroy_data(transaction, key, old)
    return answers.data(known.shown(number, known.versions[number]))


def _patch_once(transaction, call: Call, config: Config, key: str, change: Raw) -> Response:
    known = record.load(key, transaction)
    if known is None:
        return answers.not_found(None, call.request)
    check_and_set(call, config, known)
    number = known.current_version
    version = known.versions.get(number)
    if version is None:
        return answers.not_found(None, call.request)
    if not version.is_live(moments.now()):
        return answers.not_found(known.shown(number, version), call.request)
    old = record.load_data(key, number, version, transaction)
    if old is None:
        raise answers.internal("could not find version data")
    return _add_version(transaction, config, key, known, patched(old, change))


def patched(old: Raw, change: Raw) -> Raw:
    """The old object with the change made to it, as a JSON merge patch (RFC 7396)."""
    members = jsontext.parse(old)
    _merge(members, jsontext.parse(change))
    return Raw(jsontext.write(members))


def _merge(members: dict, change: dict) -> None:
    for name, new in change.items():
        if new is None:
            members.pop(name, None)
        elif isinstance(new, dict):
            inner = members.get(name)
            members[name] = inner if isinstance(inner, dict) else {}
            _merge(members[name], new)
        else:
            members[name] = new


def delete(call: Call) -> None:
    """Marks the newest version as deleted."""
    key = call.get(PATH, "")
    transactions.attempt(lambda transaction: _delete_once(transaction, key))


def _delete_once(transaction, key: str) -> None:
    known, now = record.load(key, transaction), moments.now()
    version = known and known.versions.get(known.current_version)
    if version and version.is_live(now):
        version.deleted = now
        record.save(transaction, key, known)

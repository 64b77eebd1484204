"""`delete/…`, `undelete/…` and `destroy/…`: what happens to versions by their numbers."""

from collections.abc import Callable

from kv import config, fields, moments, record, routes, transactions
from kv.answers import Refused
from kv.fields import PATH
from kv.record import Record
from kv.routes import Call

VERSIONS = fields.integers("versions", "The numbers of the versions.")


def paths(settings: config.Cache) -> list[routes.Path]:
    return [
        _path(
            "delete",
            lambda call: _change(call, "No version number provided", _delete),
            "Marks one or more versions as deleted in the KV store.",
            "The data of these versions stays in storage, and is not read any more until it is restored.",
        ),
        _path(
            "undelete",
            lambda call: _change(
                call,
                "No version number provided",
                lambda transaction, key, known, numbers: _undelete(known, numbers, settings.get()),
            ),
            "Undeletes one or more versions from the KV store.",
            "The data of these versions can be read again.",
        ),
        _path(
            "destroy",
            lambda call: _change(call, "no version number provided", _destroy),
            "Permanently removes one or more versions in the KV store",
            "The data of these versions is removed from storage, for good.",
        ),
    ]


def _path(verb: str, write: routes.Handler, synopsis: str, description: str) -> routes.Path:
    return routes.Path(
        pattern=f"{verb}/(?P<path>.*)",
        fields=[PATH, VERSIONS],
        operations=routes.written(write),
        synopsis=synopsis,
        description=description,
    )


def _change(call: Call, missing: str, act: Callable) -> None:
    """Does `act` to the record of the key, for the numbers that the client names. Those that no version has are nothing."""
    key, numbers = call.get(PATH, ""), call.get(VERSIONS, [])
    if not numbers:
        raise Refused(missing)

    def once(transaction) -> None:
        known = record.load(key, transaction)
        if known is not None:
            act(transaction, key, known, numbers)
            record.save(transaction, key, known)

    transactions.attempt(once)


def _delete(transaction, key: str, known: Record, numbers: list[int]) -> None:
    now = moments.now()
    for number in numbers:
        version = known.versions.get(number)
        if version and version.is_live(now):
            version.deleted = now


def _undelete(known: Record, numbers: list[int], settings: config.Config) -> None:
    # A version that comes back is as good as new: its age counts from now.
    deletion = known.deletion_of_new(moments.now(), settings)
    for number in numbers:
        version = known.versions.get(number)
        if version and not version.destroyed:
            version.deleted = deletion


def _destroy(transaction, key: str, known: Record, numbers: list[int]) -> None:
    for number in numbers:
        if number in known.versions:
            known.versions[number].destroyed = True
        if number >= 0:
            record.destroy_data(transaction, key, number)

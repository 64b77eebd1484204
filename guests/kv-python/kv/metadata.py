"""`metadata/…`: what is known of a key besides its data, and the list of keys."""

from dataclasses import dataclass

from wit_world.imports import storage
from wit_world.imports.types import Operation, Response

from kv import answers, config, custom_metadata, fields, moments, record, routes, transactions
from kv.data import exists, key_to_write
from kv.fields import PATH, Field
from kv.jsontext import Raw
from kv.record import METADATA, Record
from kv.routes import Call

LIMIT_MAX = (1 << 31) - 1

CAS_REQUIRED = fields.boolean(
    "cas_required",
    "Whether every write of this key has to say which version it replaces. If false, the mount's\n"
    "setting holds.",
)
MAX_VERSIONS = fields.integer(
    "max_versions", "The number of versions to keep. If not set, the mount's setting holds."
)
DELETE_VERSION_AFTER = fields.duration(
    "delete_version_after",
    "How long after its creation a version is deleted, unless the mount deletes earlier. Zero clears\n"
    "the setting.",
)
CUSTOM_METADATA = fields.mapping(
    "custom_metadata", "Names and texts that describe the secret."
)
AFTER = fields.string("after", "For lists: start behind this name.")
LIMIT = fields.integer("limit", "For lists: give at most this many names.")


def path(settings: config.Cache) -> routes.Path:
    return routes.Path(
        pattern="metadata/(?P<path>.*)",
        fields=[
            PATH,
            CAS_REQUIRED,
            MAX_VERSIONS,
            DELETE_VERSION_AFTER,
            CUSTOM_METADATA,
            AFTER,
            LIMIT,
        ],
        operations={
            Operation.LIST: list_keys,
            Operation.READ: read,
            Operation.PATCH: lambda call: patch(call, settings),
            Operation.DELETE: delete,
        }
        | routes.written(lambda call: write(call, settings)),
        exists=exists,
        synopsis="Allows interaction with key metadata and settings in the KV store.",
        description="Lists keys, reads what is known of one and all its versions, changes its settings, and\n"
        "removes it with all its versions.",
    )


def list_keys(call: Call) -> Response:
    """The names beneath a folder."""
    prefix = METADATA + call.get(PATH, "")
    if not prefix.endswith("/"):
        prefix += "/"
    # Storage takes every limit below one for "all", and so does what is too large for it.
    limit = call.get(LIMIT, 0)
    limit = limit if 0 < limit <= LIMIT_MAX else -1
    with transactions.host_errors():
        return answers.keys(storage.list_page(prefix, call.get(AFTER, ""), limit))


def read(call: Call) -> Response | None:
    """Everything that is known of a key but its data."""
    known = record.load(call.get(PATH, ""))
    if known is None:
        return None
    return answers.data(
        {
            "versions": {
                str(number): {
                    "created_time": moments.shown(version.created),
                    "deletion_time": moments.shown(version.deleted),
                    "destroyed": version.destroyed,
                }
                for number, version in sorted(known.versions.items())
            },
            "current_version": known.current_version,
            "oldest_version": known.oldest_version,
            "created_time": moments.shown(known.created),
            "updated_time": moments.shown(known.updated),
            "max_versions": known.max_versions,
            "cas_required": known.cas_required,
            "delete_version_after": moments.go_duration(known.delete_version_after),
            "custom_metadata": known.custom_metadata or None,
        }
    )


@dataclass
class Change:
    """The settings that a request names; the others, which are none, stay as they are."""

    cas_required: bool | None
    max_versions: int | None
    delete_version_after: int | None
    custom_metadata: dict[str, Raw] | None

    def is_empty(self) -> bool:
        return all(value is None for value in vars(self).values())

    def apply_settings(self, known: Record) -> None:
        if self.cas_required is not None:
            known.cas_required = self.cas_required
        if self.max_versions is not None:
            known.max_versions = self.max_versions
        if self.delete_version_after is not None:
            known.delete_version_after = self.delete_version_after

    def answer(self, mount: config.Config) -> Response | None:
        """A remark when the mount asks for check-and-set whatever this key says."""
        if self.cas_required is not False or not mount.cas_required:
            return None
        return answers.response(
            warnings=[
                '"cas_required" set to false, but is mandated by backend config. '
                "This value will be ignored."
            ]
        )


def _change(call: Call, reset: bool) -> Change:
    """What the request names; in a patch, `null` sets a setting back."""

    def value(wanted: Field, empty):
        if reset and call.given.get(wanted.name) == "null":
            return empty
        return call.get(wanted)

    count = value(MAX_VERSIONS, 0)
    return Change(
        cas_required=value(CAS_REQUIRED, False),
        max_versions=None if count is None else config.version_count(count),
        delete_version_after=value(DELETE_VERSION_AFTER, 0),
        custom_metadata=call.get(CUSTOM_METADATA),
    )


def write(call: Call, settings: config.Cache) -> Response | None:
    """Changes the settings of a key, which may be new."""
    key, change = key_to_write(call), _change(call, reset=False)
    if change.is_empty():
        return None

    def once(transaction) -> None:
        now = moments.now()
        known = record.load(key, transaction) or Record(created=now, updated=now)
        change.apply_settings(known)
        if change.custom_metadata is not None:
            known.custom_metadata = custom_metadata.replaced(change.custom_metadata)
        record.save(transaction, key, known)

    mount = settings.get()
    transactions.attempt(once)
    return change.answer(mount)


def patch(call: Call, settings: config.Cache) -> Response | None:
    """Changes some of the settings of a key that is there."""
    key, change = key_to_write(call), _change(call, reset=True)

    def once(transaction) -> bool:
        known = record.load(key, transaction)
        if known is None:
            return False
        change.apply_settings(known)
        if call.given.get(CUSTOM_METADATA.name) == "null":
            known.custom_metadata = {}
        if change.custom_metadata is not None:
            known.custom_metadata = custom_metadata.patched(
                known.custom_metadata, change.custom_metadata
            )
        record.save(transaction, key, known)
        return True

    mount = settings.get()
    if not transactions.attempt(once):
        return answers.not_found(None, call.request)
    return change.answer(mount)


def delete(call: Call) -> None:
    """Removes a key with all its versions."""
    key = call.get(PATH, "")

    def once(transaction) -> None:
        known = record.load(key, transaction)
        if known is None:
            return
        for number in known.versions:
            record.destroy_data(transaction, key, number)
        transaction.delete(METADATA + key)

    transactions.attempt(once)

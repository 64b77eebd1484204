"""`config`: settings of the mount that hold for all its keys.

Almost every request needs them, so they are cached. The cache is told when another store of the mount changes them,
and it never holds what a request merely intends to write: the host may still refuse the commit.
"""

from dataclasses import dataclass

from wit_world.imports.types import Operation, Response

from kv import answers, fields, jsontext, moments, routes, transactions
from kv.answers import Refused

CONFIG = "config"
VERSIONS_MAX = (1 << 32) - 1

MAX_VERSIONS = fields.integer(
    "max_versions", "The number of versions that each key keeps. Without it, ten."
)
CAS_REQUIRED = fields.boolean(
    "cas_required", "Whether every write has to say which version it replaces."
)
DELETE_VERSION_AFTER = fields.signed_duration(
    "delete_version_after",
    "How long after its creation a version is deleted. Zero clears the setting; a negative time\n"
    "switches deletion by age off for all keys.",
)


@dataclass
class Config:
    """The settings of a mount."""

    # How many versions a key keeps at least; zero when nobody said.
    max_versions: int = 0
    cas_required: bool = False
    # In seconds; zero when nobody said, negative when nothing is deleted by age.
    delete_version_after: int = 0


def load(view) -> Config:
    """The settings as they are stored."""
    stored = transactions.read(CONFIG, view)
    if stored is None:
        return Config()
    try:
        found = jsontext.parse(stored)
        return Config(
            int(found["max_versions"]), found["cas_required"], int(found["delete_version_after"])
        )
    except (ValueError, KeyError, TypeError):
        raise answers.internal("the stored configuration is damaged") from None


class Cache:
    """The settings as last read."""

    def __init__(self):
        self._config: Config | None = None

    def get(self) -> Config:
        """The settings, from memory or from storage."""
        if self._config is None:
            self._config = load(transactions.storage)
        return self._config

    def invalidate(self, key: str) -> None:
        """Another store of the mount wrote this key."""
        if key == CONFIG:
            self.forget()

    def forget(self) -> None:
        """The settings are read again when they are next needed."""
        self._config = None


def path(settings: Cache) -> routes.Path:
    def read(call: routes.Call) -> Response:
        config = settings.get()
        return answers.data(
            {
                "max_versions": config.max_versions,
                "cas_required": config.cas_required,
                "delete_version_after": moments.go_duration(config.delete_version_after),
            }
        )

    def write(call: routes.Call) -> None:
        try:
            transactions.attempt(lambda transaction: _change(transaction, call))
        finally:
            settings.forget()

    return routes.Path(
        pattern="config",
        fields=[MAX_VERSIONS, CAS_REQUIRED, DELETE_VERSION_AFTER],
        operations={Operation.READ: read} | routes.written(write),
        synopsis="Configures settings for the KV store",
        description="Settings that hold for every key of this mount. What a write does not name stays as it is.",
    )


def _change(transaction, call: routes.Call) -> None:
    config = load(transaction)
    count = call.get(MAX_VERSIONS)
    if count is not None:
        config.max_versions = version_count(count)
    config.cas_required = call.get(CAS_REQUIRED, config.cas_required)
    # Every negative time means the same, and reads back as -1s.
    config.delete_version_after = max(
        call.get(DELETE_VERSION_AFTER, config.delete_version_after), -1
    )
    transactions.put(transaction, CONFIG, jsontext.write(vars(config)))


def version_count(count: int) -> int:
    """A number of versions to keep, as clients give it."""
    if not 0 <= count <= VERSIONS_MAX:
        raise Refused(f"max_versions is {count}, and has to be from 0 to {VERSIONS_MAX}")
    return count

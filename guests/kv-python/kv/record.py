"""What is stored: for each key its metadata, and for each of its versions the data.

    metadata/KEY       the record
    versions/KEY/3     the data of one version, written once and never changed
"""

from dataclasses import dataclass, field

from kv import answers, jsontext, moments, transactions
from kv.config import Config
from kv.jsontext import Raw
from kv.moments import Moment

METADATA = "metadata/"
VERSIONS = "versions/"

# How many versions a key keeps when neither it nor the mount says.
VERSIONS_KEPT = 10


@dataclass
class Version:
    """What is known of one version."""

    created: Moment
    # When it is, or was, deleted. The data is still there and can be restored.
    deleted: Moment | None = None
    # Whether the data is gone for good.
    destroyed: bool = False

    def is_live(self, now: Moment) -> bool:
        """Whether the data can be read: it is neither destroyed nor deleted by now."""
        return not self.destroyed and not (self.deleted is not None and self.deleted <= now)


@dataclass
class Record:
    """Everything that is known of a key but its data."""

    created: Moment
    updated: Moment
    # The newest version; zero before the first write.
    current_version: int = 0
    # The oldest version that is kept; zero while none was dropped.
    oldest_version: int = 0
    # How many versions to keep; zero leaves it to the mount.
    max_versions: int = 0
    cas_required: bool = False
    # How long after its creation a version is deleted, in seconds; zero leaves it to the mount.
    delete_version_after: int = 0
    custom_metadata: dict[str, str] = field(default_factory=dict)
    versions: dict[int, Version] = field(default_factory=dict)

    def add_version(self, now: Moment, config: Config) -> list[int]:
        """Adds a version and gives back the numbers of those that are too many now."""
        self.current_version += 1
        self.updated = now
        self.versions[self.current_version] = Version(now, self.deletion_of_new(now, config))
        return self._drop_old_versions(config)

    def deletion_of_new(self, now: Moment, config: Config) -> Moment | None:
        """When a version that appears now is going to be deleted: after the shorter of the key's and the mount's span."""
        spans = [self.delete_version_after, config.delete_version_after]
        if config.delete_version_after < 0 or not any(span > 0 for span in spans):
            return None
        return moments.later(now, min(span for span in spans if span > 0))

    def _drop_old_versions(self, config: Config) -> list[int]:
        kept = max(self.max_versions, config.max_versions) or VERSIONS_KEPT
        if self.current_version - self.oldest_version < kept:
            return []
        self.oldest_version = self.current_version - kept + 1
        older = [number for number in self.versions if number < self.oldest_version]
        for number in older:
            del self.versions[number]
        return older

    def shown(self, number: int, version: Version) -> dict:
        """One version as clients see it."""
        return {
            "version": number,
            "created_time": moments.shown(version.created),
            "deletion_time": moments.shown(version.deleted),
            "destroyed": version.destroyed,
            # None when there is none, as in OpenBao.
            "custom_metadata": self.custom_metadata or None,
        }


def load(key: str, view=transactions.storage) -> Record | None:
    """What is known of a key."""
    stored = transactions.read(METADATA + key, view)
    if stored is None:
        return None
    try:
        return _record(jsontext.parse(stored))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(key) from None


def _record(found: dict) -> Record:
    versions = {
        int(number): Version(
            _moment(version["created"]),
            _moment(version["deleted"]) if version["deleted"] else None,
            version["destroyed"],
        )
        for number, version in found["versions"].items()
    }
    return Record(
        created=_moment(found["created"]),
        updated=_moment(found["updated"]),
        current_version=int(found["current_version"]),
        oldest_version=int(found["oldest_version"]),
        max_versions=int(found["max_versions"]),
        cas_required=found["cas_required"],
        delete_version_after=int(found["delete_version_after"]),
        custom_metadata=found["custom_metadata"],
        versions=versions,
    )


def _moment(pair: list) -> Moment:
    seconds, nanos = pair
    return (int(seconds), int(nanos))


def save(transaction, key: str, record: Record) -> None:
    """Writes what is known of a key."""
    versions = {str(number): vars(version) for number, version in sorted(record.versions.items())}
    value = vars(record) | {"versions": versions}
    transactions.put(transaction, METADATA + key, jsontext.write(value))


def load_data(key: str, number: int, version: Version, view=transactions.storage) -> Raw | None:
    """A version's data, as the text that the client once sent.

    None when it is not the version that `version` speaks of: somebody changed the key between the two reads.
    """
    stored = transactions.read(_version_key(key, number), view)
    if stored is None:
        return None
    try:
        found = jsontext.members(stored)
        same = _moment(jsontext.parse(found["created"])) == version.created
        return found["data"] if same else None
    except (ValueError, KeyError, TypeError):
        raise _damaged(key) from None


def save_data(transaction, key: str, number: int, now: Moment, data: Raw) -> None:
    """Writes a version's data."""
    text = jsontext.write({"created": now, "data": data})
    transactions.put(transaction, _version_key(key, number), text)


def destroy_data(transaction, key: str, number: int) -> None:
    """Removes a version's data for good."""
    transaction.delete(_version_key(key, number))


def _version_key(key: str, number: int) -> str:
    # The last segment is the number and everything before it the key, so no two pairs share a storage key.
    return f"{VERSIONS}{key}/{number}"


def _damaged(key: str):
    # What does not parse was not written by this plugin; its content is not repeated.
    return answers.internal(f"what is stored for the key {jsontext.quote(key)} is damaged")

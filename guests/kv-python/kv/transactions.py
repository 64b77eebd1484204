"""Reads and writes of the host, with its errors as a plugin passes them on."""

from collections.abc import Callable
from contextlib import contextmanager

from componentize_py_types import Err
from wit_world.imports import storage
from wit_world.imports.storage import Entry, TransactionMode
from wit_world.imports.types import HostError, HostErrorKind

from kv import answers

# How often a write is tried before its conflict is told to the client.
ATTEMPTS_MAX = 8


@contextmanager
def host_errors():
    """Turns an error of the host into one that a plugin returns."""
    try:
        yield
    except Err as fault:
        raise answers.host(fault) if isinstance(fault.value, HostError) else fault from None


def read(key: str, view=storage) -> str | None:
    """The text at a key, in the mount's storage or in a transaction."""
    with host_errors():
        entry = view.get(key)
    return None if entry is None else entry.value.decode()


def put(transaction, key: str, text: str) -> None:
    """Writes text at a key."""
    transaction.put(Entry(key, text.encode(), False))


def attempt(change: Callable):
    """Runs `change` in a transaction and commits it, and all of it again for as long as it conflicts with a newer write.

    A change that raises is rolled back.
    """
    with host_errors():
        for _ in range(1, ATTEMPTS_MAX):
            try:
                return _once(change)
            except Err as fault:
                if not is_conflict(fault):
                    raise
        return _once(change)


def _once(change: Callable):
    transaction = storage.begin(TransactionMode.READ_WRITE)
    try:
        answer = change(transaction)
    except BaseException:
        storage.Transaction.rollback(transaction)
        raise
    storage.Transaction.commit(transaction)
    return answer


def is_conflict(fault: Err) -> bool:
    """Whether doing everything again may succeed."""
    error = fault.value
    return isinstance(error, HostError) and error.kind == HostErrorKind.CONFLICT

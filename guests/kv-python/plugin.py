"""OpenBao's key-value store, version 2, as a component in Python: what the component exports.

It is the example to copy for a plugin in Python, and the same store as `guests/kv`, file for file, path for path and
byte for byte in storage. What a mount remembers in memory is a cache: the host may run each request in a new store.
"""

from componentize_py_types import Err
from wit_world.exports import Backend as Contract
from wit_world.exports.backend import (
    Description,
    Existence,
    PluginType,
    SetupConfig,
    SpecialPaths,
)
from wit_world.imports.types import (
    PluginError,
    PluginErrorKind_Internal,
    PluginErrorKind_InvalidRequest,
    Request,
    Response,
)

from kv import answers, config, data, invalid, metadata, routes, subkeys, versions

# Both stand in the section of the component too, where they are read without running anything. An empty version leaves
# it to the operator's registration.
VERSION = ""
CONTRACT_VERSION = "0.1.0"

SETTINGS = config.Cache()

# The first path that matches answers, so the one for everything else comes last.
ROUTER = routes.Router(
    help="A key-value store with versions. Every write of a key makes a new version, as many as\n"
    "the key or the mount keeps; each can be read, deleted, restored and destroyed by its\n"
    "number.",
    paths=[
        config.path(SETTINGS),
        data.path(SETTINGS),
        metadata.path(SETTINGS),
        *versions.paths(SETTINGS),
        subkeys.path(),
        invalid.path(),
    ],
)


class Backend(Contract):
    """The mount's backend."""

    def describe(self) -> Description:
        # The data itself is sealed twice where the server can do that; and no read of this plugin changes anything.
        special = SpecialPaths(
            root=[],
            unauthenticated=[],
            local_storage=[],
            seal_wrap_storage=["versions/"],
            write_forwarded_storage=[],
            safe_reads=["*"],
        )
        return Description(PluginType.SECRET, VERSION, CONTRACT_VERSION, special)

    def setup(self, config: SetupConfig) -> None:
        SETTINGS.forget()

    def initialize(self) -> None:
        pass

    def handle_request(self, request: Request) -> Response | None:
        try:
            return answered(lambda: ROUTER.handle(request))
        except answers.Refused as refusal:
            return answers.error(refusal.text)

    def check_existence(self, request: Request) -> Existence:
        try:
            return answered(lambda: ROUTER.exists(request))
        except answers.Refused as refusal:
            raise Err(PluginError(PluginErrorKind_InvalidRequest(), refusal.text))

    def invalidate_key(self, key: str) -> None:
        SETTINGS.invalidate(key)

    def cleanup(self) -> None:
        pass


def answered(answer):
    """What `answer` gives. An exception that is neither a refusal nor an error of the contract is a fault of ours; its
    text may quote secrets, so only its type is told."""
    try:
        return answer()
    except (answers.Refused, Err):
        raise
    except Exception as fault:
        text = f"the plugin failed: {type(fault).__name__}"
        raise Err(PluginError(PluginErrorKind_Internal(), text))

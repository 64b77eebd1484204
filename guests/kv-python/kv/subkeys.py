"""`subkeys/…`: the names inside a secret, without the values."""

from wit_world.imports.types import Operation, Response

from kv import answers, fields, jsontext, routes
from kv.data import find
from kv.fields import PATH, VERSION
from kv.routes import Call

DEPTH = fields.integer(
    "depth",
    "How deep to look; what lies deeper shows as null. Zero or nothing means all the way.",
)


def path() -> routes.Path:
    return routes.Path(
        pattern="subkeys/(?P<path>.*)",
        fields=[PATH, VERSION, DEPTH],
        operations={Operation.READ: read},
        synopsis="Read the structure of a secret entry from the Key-Value store with the values removed.",
        description="Every value that is not an object with members shows as null, so that a policy can let\n"
        "people see what is there and not what it says.",
    )


def read(call: Call) -> Response | None:
    found = find(call)
    if found is None:
        return None
    if found.data is None:
        body = {"subkeys": None, "metadata": found.shown}
        return answers.not_found(body, call.request)
    names = without_values(jsontext.parse(found.data), 1, call.get(DEPTH, 0))
    return answers.data({"subkeys": names, "metadata": found.shown})


def without_values(members: dict, depth: int, depth_max: int) -> dict:
    """The members with everything but objects with members replaced, and those too below the depth."""
    deeper = depth_max == 0 or depth < depth_max
    return {
        name: without_values(value, depth + 1, depth_max)
        if isinstance(value, dict) and value and deeper
        else None
        for name, value in members.items()
    }

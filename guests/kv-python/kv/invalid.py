"""Every other path: mostly clients that take the mount for a store without versions, so they are told the way."""

from wit_world.imports.types import Operation, Response

from kv import answers, routes
from kv.routes import Call

ROOTS = ("metadata", "data", "delete", "undelete", "destroy")
COMMANDS = {
    Operation.CREATE: "put",
    Operation.UPDATE: "put",
    Operation.PATCH: "patch",
    Operation.READ: "get",
    Operation.DELETE: "delete",
    Operation.LIST: "list",
    Operation.SCAN: "scan",
}


def path() -> routes.Path:
    return routes.Path(
        pattern=".*",
        fields=[],
        operations=dict.fromkeys(COMMANDS, answer),
        synopsis="Anything else is not a path of this store.",
        description="Ask for the help of the mount itself to see its paths.",
    )


def answer(call: Call) -> Response:
    if call.request.path in ROOTS:
        warning = "Non-listing operations on the root of a K/V v2 mount are not supported."
    else:
        warning = (
            "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API "
            "endpoints to use. If using the OpenBao CLI, use "
            f"'bao kv {COMMANDS[call.request.operation]}' for this operation."
        )
    return answers.with_status(404, answers.response(warnings=[warning]), call.request)

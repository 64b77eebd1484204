"""Finds the path that a request is for, checks its fields and runs its handler; and writes the help texts."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from wit_world.exports.backend import Existence
from wit_world.imports.types import Operation, Request, Response

from kv import answers, jsontext
from kv.answers import Refused
from kv.fields import Field
from kv.jsontext import Raw


@dataclass
class Call:
    """One request on its way through a handler."""

    request: Request
    # The value of each field of the path that the client gave.
    fields: dict[str, object]
    # The JSON text of whatever the client gave, known or not.
    given: dict[str, Raw]

    def get(self, wanted: Field, default=None):
        """What the client gave for the field, or the default."""
        return self.fields.get(wanted.name, default)


Handler = Callable[[Call], Response | None]


@dataclass
class Path:
    """A pattern that has to match the whole path, the fields it takes, and what it does."""

    pattern: str
    fields: list[Field]
    operations: dict[Operation, Handler]
    synopsis: str
    description: str
    # Whether something is there; without it every write is an update.
    exists: Callable[[Call], bool] | None = None
    regex: re.Pattern = field(init=False)

    def __post_init__(self):
        self.regex = re.compile(self.pattern)

    def call(self, request: Request) -> Call:
        """The request with its fields; names in the path win over names in the body."""
        given = _body(request.data) | {
            name: Raw(jsontext.write(caught))
            for name, caught in self.regex.fullmatch(request.path).groupdict().items()
        }
        values = ((field.name, field.of(given)) for field in self.fields)
        return Call(
            request=request,
            fields={name: value for name, value in values if value is not None},
            given=given,
        )


def written(handler: Handler) -> dict[Operation, Handler]:
    """Does this when written, whether something was there or not."""
    return {Operation.CREATE: handler, Operation.UPDATE: handler}


def _body(data: str) -> dict[str, Raw]:
    if data == "null":
        return {}
    try:
        return jsontext.members(data)
    except ValueError:
        raise Refused("the request's data is not a JSON object") from None


@dataclass
class Router:
    """Paths, tried in their order."""

    help: str
    paths: list[Path]

    def handle(self, request: Request) -> Response | None:
        """Answers one request."""
        match request.operation:
            case Operation.HELP:
                return self._help(request)
            case Operation.RENEW | Operation.REVOKE | Operation.ROLLBACK:
                raise answers.unsupported_operation()
        path = self._find(request.path)
        handler = path.operations.get(request.operation)
        if handler is None:
            raise answers.unsupported_operation()
        return handler(path.call(request))

    def exists(self, request: Request) -> Existence:
        """Whether the thing at the request's path exists."""
        path = self._find(request.path)
        if path.exists is None:
            return Existence.UNCHECKED
        return Existence.PRESENT if path.exists(path.call(request)) else Existence.ABSENT

    def _find(self, wanted: str) -> Path:
        for path in self.paths:
            if path.regex.fullmatch(wanted):
                return path
        raise answers.unsupported_path()

    def _help(self, request: Request) -> Response:
        if request.path:
            path = self._find(request.path)
            return _help_answer(_help_of_path(request.path, path), [path])
        lines = "".join(f"    ^{path.pattern}$\n        {path.synopsis}\n\n" for path in self.paths)
        text = (
            f"## DESCRIPTION\n\n{self.help}\n\n## PATHS\n\n"
            "These are the patterns of the paths that this backend answers. Ask for the help of a path\n"
            "that matches one of them to learn what it takes. Policies decide which of them your token\n"
            f"may use.\n\n{lines}"
        )
        return _help_answer(text, self.paths)


def _help_of_path(wanted: str, path: Path) -> str:
    parameters = "".join(
        f"\n    {field.name} ({field.kind})\n        "
        + field.description.replace("\n", "\n        ")
        + "\n"
        for field in path.fields
    )
    if parameters:
        parameters = f"## PARAMETERS\n{parameters}\n"
    return (
        f"Request:        {wanted}\nMatching Route: ^{path.pattern}$\n\n{path.synopsis}\n\n"
        f"{parameters}## DESCRIPTION\n\n{path.description}\n"
    )


def _help_answer(text: str, paths: list[Path]) -> Response:
    documents = {f"^{path.pattern}$": {"description": path.synopsis} for path in paths}
    openapi = {
        "openapi": "3.0.2",
        "info": {"title": "Palisade plugin", "version": "0.1.0"},
        "paths": documents,
    }
    return answers.data({"help": text, "see_also": None, "openapi": openapi})

"""What a handler gives back: a response, a refusal, or an error of the contract."""

from componentize_py_types import Err
from wit_world.imports.types import (
    PluginError,
    PluginErrorKind_Internal,
    PluginErrorKind_Unknown,
    PluginErrorKind_UnsupportedOperation,
    PluginErrorKind_UnsupportedPath,
    Request,
    Response,
)

from kv import jsontext


class Refused(Exception):
    """The request makes no sense; the client gets HTTP 400 with this text.

    It travels as an error response: hosts replace the text of an `invalid-request` error by their own.
    """

    def __init__(self, text: str):
        super().__init__(text)
        self.text = text


def response(data: str = "null", warnings: list[str] | None = None) -> Response:
    """A response with this JSON text as its data."""
    return Response(
        secret=None,
        auth=None,
        data=data,
        redirect="",
        warnings=warnings or [],
        wrap_info=None,
        headers=[],
    )


def data(value) -> Response:
    """A response with this value as its data."""
    return response(jsontext.write(value))


def error(text: str) -> Response:
    """The response by which a plugin refuses."""
    return data({"error": text})


def keys(names: list[str]) -> Response:
    """The answer to a list; an empty object when there are none, which hosts answer with 404."""
    return data({"keys": names} if names else {})


def with_status(status: int, inner: Response | None, request: Request) -> Response:
    """An answer with an HTTP status of the plugin's choice, and the usual envelope around `inner` as its body.

    This is how OpenBao's backends say 404 and still tell something. Without `inner` the body is empty.
    """
    fields = {"http_content_type": "application/json", "http_status_code": status}
    if inner is not None:
        envelope = {
            "request_id": request.id,
            "lease_id": "",
            "renewable": False,
            "lease_duration": 0,
            "data": jsontext.Raw(inner.data),
            "wrap_info": None,
            "warnings": inner.warnings or None,
            "auth": None,
        }
        fields["http_raw_body"] = jsontext.write(envelope)
    return data(fields)


def not_found(value, request: Request) -> Response:
    """A 404 with a body, as OpenBao tells of versions that are gone; with none for no value."""
    return with_status(404, None if value is None else data(value), request)


def internal(text: str) -> Err:
    """Something is wrong in the plugin or in what it stored, HTTP 500."""
    return Err(PluginError(PluginErrorKind_Internal(), text))


def unsupported_path() -> Err:
    """There is no such path, HTTP 404."""
    return Err(PluginError(PluginErrorKind_UnsupportedPath(), "unsupported path"))


def unsupported_operation() -> Err:
    """The path does not do this, HTTP 405."""
    return Err(PluginError(PluginErrorKind_UnsupportedOperation(), "unsupported operation"))


def host(fault: Err) -> Err:
    """A host's error that is passed on: hosts know its kind again by the text."""
    return Err(PluginError(PluginErrorKind_Unknown(), fault.value.message))

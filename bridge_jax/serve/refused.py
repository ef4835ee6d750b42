"""What is said to a client whose request is not carried out, in OpenAI's shape."""

import re
from typing import Any

from starlette.responses import JSONResponse

# What OpenAI calls each kind of mistake; its client makes exceptions of the statuses.
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_PATH = re.compile(r"(?<![\w/:.])(?:/[\w.+@~-]+){2,}/?")


class Refused(Exception):
    """A request that is not carried out: one sentence, with an HTTP status.

    Attributes:
      param: the field that is wrong, if it is one.
      code: OpenAI's word for what is wrong, if it has one.
      retry_after: seconds after which to try again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ):
        super().__init__(message)
        self.status, self.message = status, plain(message)
        self.param, self.code, self.retry_after = param, code, retry_after

    def json(self) -> dict[str, Any]:
        """{"error": {...}}."""
        kind = TYPES.get(self.status, "invalid_request_error")
        told = {"message": self.message, "type": kind}
        return {"error": told | {"param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        headers = {}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.status in (408, 413, 503):
            headers["connection"] = "close"
        return JSONResponse(self.json(), self.status, headers)


def plain(message: str) -> str:
    """One line that names no place of this machine."""
    return _PATH.sub("a file", " ".join(message.split()))


def broken() -> Refused:
    """For a bug of ours: the log has the rest."""
    return Refused(500, "the server made a mistake, which its log tells of")

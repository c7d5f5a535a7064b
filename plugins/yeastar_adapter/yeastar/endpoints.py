"""The two calls of a PBX, told apart by the request line."""

from __future__ import annotations

import posixpath
from enum import Enum
from functools import lru_cache
from urllib.parse import unquote

from .errors import INVALID_PARAMETER, Refusal


class Endpoint(Enum):
    """A method and the last segment of the path."""

    VERIFY = ("GET", "verify")
    SENDMESSAGE = ("POST", "sendmessage")


_BY_NAME = {endpoint.value[1]: endpoint for endpoint in Endpoint}


# A PBX writes two lines, over and over; asked twice a request.
@lru_cache(maxsize=256)
def named_in(request_line: str) -> Endpoint | None:
    """The endpoint that the path of a request line names, whatever the method.

    The path is compared as Kong routes it: percent-decoded, dot segments and repeated slashes removed.
    """
    target = request_line.partition(" ")[2].rsplit(" ", 1)[0]
    path = posixpath.normpath(unquote(target.partition("?")[0]))
    return _BY_NAME.get(path.rpartition("/")[2])


def endpoint_of(request_line: str) -> Endpoint:
    """Find the endpoint of a request line (`POST /api/v1/…/sendmessage?x HTTP/1.1`).

    Raises Refusal 10002 for any other path or method.
    """
    method = request_line.partition(" ")[0]
    endpoint = named_in(request_line)
    if endpoint is None:
        raise Refusal(INVALID_PARAMETER, "this path is neither 'verify' nor 'sendmessage'")
    if method != endpoint.value[0]:
        raise Refusal(INVALID_PARAMETER, f"'{endpoint.value[1]}' takes the method {endpoint.value[0]} only")
    return endpoint

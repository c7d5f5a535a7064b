"""Kong's own error answers: which message, in which media type."""

from __future__ import annotations

import re
from http import HTTPStatus

SERVER = "kong/3.9.1"

JSON = "application/json; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
XML = "application/xml; charset=utf-8"

# What Kong's handler of nginx errors says (kong/error_handlers.lua).
NGINX_MESSAGES = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    411: "Length required",
    412: "Precondition failed",
    413: "Payload too large",
    414: "URI too long",
    417: "Expectation failed",
    494: "Request header or cookie too large",
    500: "An unexpected error occurred",
    502: "An invalid response was received from the upstream server",
    503: "The upstream server is currently unavailable",
    504: "The upstream server is timing out",
}

# What kong.response.error says without a message of its own (kong/pdk/response.lua).
PDK_MESSAGES = {
    **{status.value: status.phrase.capitalize() for status in HTTPStatus if status >= 400},
    416: "Range not satisfiable",
    422: "Unprocessable entity",
    505: "HTTP version not supported",
    **NGINX_MESSAGES,
}

# nginx's own words, of the statuses that it knows.
_PLAIN = (
    200,
    201,
    202,
    204,
    206,
    301,
    303,
    304,
    307,
    308,
    400,
    401,
    402,
    403,
    404,
    406,
    409,
    410,
    411,
    412,
    415,
)
REASONS = {
    **{status: HTTPStatus(status).phrase for status in (*_PLAIN, 421, 429, 500, 501, 502, 505, 507)},
    302: "Moved Temporarily",
    405: "Not Allowed",
    408: "Request Time-out",
    413: "Request Entity Too Large",
    414: "Request-URI Too Large",
    416: "Requested Range Not Satisfiable",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}

# nginx hands these to Kong's error handler (`error_page` of Kong's configuration), and answers the others itself.
KONG_PAGES = frozenset((400, 404, 405, 408, 411, 412, 413, 414, 417, 494, 500, 502, 503, 504))

PLAIN_ON_TLS = 497  # goes out as 400
_PLAIN_ON_TLS_PAGE = (
    "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n<body>\r\n"
    "<center><h1>400 Bad Request</h1></center>\r\n"
    "<center>The plain HTTP request was sent to HTTPS port</center>\r\n</body>\r\n</html>\r\n"
)
_PAGE_TITLES = {302: "302 Found", 401: "401 Authorization Required"}
# To these nginx adds `charset UTF-8`.
_WITH_CHARSET = frozenset(
    (
        *("text/html", "text/xml", "text/plain", "text/vnd.wap.wml"),
        *("application/javascript", "application/rss+xml"),
    )
)

_TEMPLATES = {
    JSON: '{{\n  "message":"{message}",\n  "request_id":"{request_id}"\n}}',
    PLAIN: "{message}\nrequest_id: {request_id}\n",
    HTML: (
        '<!doctype html>\n<html>\n  <head>\n    <meta charset="utf-8">\n    <title>Error</title>\n  </head>\n'
        "  <body>\n    <h1>Error</h1>\n    <p>{message}.</p>\n    <p>request_id: {request_id}</p>\n"
        "  </body>\n</html>\n"
    ),
    XML: (
        '<?xml version="1.0" encoding="UTF-8"?>\n<error>\n  <message>{message}</message>\n'
        "  <requestid>{request_id}</requestid>\n</error>\n"
    ),
}

_MEDIA_TYPES = {
    "text/html": HTML,
    "application/xml": XML,
    "text/plain": PLAIN,
    "application/json": JSON,
    "application/grpc": "",
    # `application/*` and `text/*` are looked up by their first half alone
    "application": JSON,
    "text": PLAIN,
}

_ACCEPTED = re.compile(
    r"([a-z0-9][a-z0-9\-!#$&^_+.]+|\*)/([a-z0-9][a-z0-9\-!#$&^_+.]+|\*)"
    r"(?:\s*;\s*q=(1(?:\.0{0,3}|)|0(?:\.\d{0,3}|))|\s*;\s*[a-z0-9][a-z0-9\-!#$&^_+.]+(?:=[^;]*|))*",
    re.IGNORECASE,
)


def media_type(accept: str | None) -> str:
    """The media type of an error body for an `Accept` header: JSON unless it prefers another that Kong knows.

    Empty for gRPC, which has no body.
    """
    chosen, quality = JSON, 0.0
    for part in (accept or "").split(","):
        match = _ACCEPTED.match(part.strip())
        if match is None:
            continue
        weight = float(match[3]) if match[3] else 1.0
        if weight > quality:
            quality = weight
            chosen = _known(match[1], match[2])
    return chosen


def _known(kind: str, subtype: str) -> str:
    if subtype == "*":
        return JSON if kind == "*" else _MEDIA_TYPES.get(kind, JSON)
    return _MEDIA_TYPES.get(f"{kind}/{subtype}", JSON)


def body(media: str, message: str, request_id: str) -> str:
    """The body of an error answer. The message goes in as it is, as Kong's templates do it."""
    if not media:
        return ""
    template = _TEMPLATES.get(media) or _TEMPLATES[_MEDIA_TYPES.get(media, JSON)]
    return template.format(message=message, request_id=request_id)


def nginx_page(status: int) -> str | None:
    """nginx's own page, of a status for which Kong has none; there is none for a status that nginx does not know."""
    if status == PLAIN_ON_TLS:
        return _PLAIN_ON_TLS_PAGE
    title = _PAGE_TITLES.get(status) or (f"{status} {REASONS[status]}" if status in REASONS else None)
    if title is None or status < 301 or status == 304:
        return None
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "</body>\r\n</html>\r\n"
    )


def with_charset(content_type: str, status: int) -> str:
    """A Content-Type as nginx's charset filter leaves it."""
    if content_type.lower() in _WITH_CHARSET and status not in (301, 302):
        return f"{content_type}; charset=UTF-8"
    return content_type


def nginx_message(status: int) -> str:
    return NGINX_MESSAGES.get(status) or f"The upstream server responded with {status}"


def pdk_message(status: int) -> str:
    return PDK_MESSAGES.get(status) or f"The upstream server responded with {status}"

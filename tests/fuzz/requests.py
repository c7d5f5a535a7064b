"""Whole HTTP requests, as odd as HTTP allows, and what is expected of each."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.harness.pbx import DEMO_KEY, DEMO_KEY_OFF, SENDMESSAGE, VERIFY

from . import bodies, oracle

REFUSED_BY_NGINX = frozenset({"CONNECT", "TRACE"})
"""Methods that nginx answers 405 before it looks for a route."""


@dataclass(frozen=True)
class Request:
    """One request. `expected`: codes (or "accepted", "verified") one of which has to come; None: any in the form.

    `own`: Kong may refuse it before it knows the route, and in its own form.
    """

    method: str
    raw: bytes
    has_key: bool
    expected: frozenset[str] | None
    own: bool


_BEARERS = {
    "key": (f"Bearer {DEMO_KEY}", None),
    "lower case": (f"bearer   {DEMO_KEY} ", None),
    "off": (f"Bearer {DEMO_KEY_OFF}", "10005"),
    "wrong": ("Bearer ystr_nobody_has_this_key_0123456789", "10004"),
    "cut": (f"Bearer {DEMO_KEY[:-1]}", "10004"),
    "basic": (f"Basic {DEMO_KEY}", "10004"),
    "bare": (DEMO_KEY, "10004"),
    "empty": ("", "10004"),
    "odd": ("Bearer \xff\xfe\x80", "10004"),
    "none": (None, "10004"),
}

_paths = st.one_of(
    st.sampled_from([SENDMESSAGE, SENDMESSAGE, SENDMESSAGE, VERIFY]),
    st.builds(
        lambda path, mark, query: f"{path}{mark}{query}",
        st.sampled_from([SENDMESSAGE, VERIFY]),
        st.sampled_from(["?", "??", "?a="]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    ),
    st.sampled_from(
        [
            SENDMESSAGE.replace("sendmessage", "%73endmessage"),
            SENDMESSAGE.replace("/sms/", "/sms/./"),
            SENDMESSAGE.replace("/sms/", "/x/../sms/"),
            SENDMESSAGE.replace("/sms/", "//sms/"),
            f"http://kong{SENDMESSAGE}",
        ]
    ),
)
_other_paths = st.one_of(
    st.sampled_from(
        [
            "/",
            "*",
            SENDMESSAGE + "#x",
            SENDMESSAGE + "/",
            SENDMESSAGE.upper(),
            "/api/v1/sms/sends",
            "/%00",
            "/\xff",
        ]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=30).map(
        lambda rest: f"{SENDMESSAGE}{rest}x"
    ),
)

_methods = st.one_of(
    st.sampled_from(["POST"] * 6 + ["GET"] * 2),
    st.sampled_from(
        ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PURGE", "M-SEARCH", "POST_"]
    ),
)

_extra_names = st.one_of(
    st.sampled_from(
        [
            "Connection", "Upgrade", "TE", "Trailer", "Accept-Encoding", "Accept", "Content-Encoding", "Content-Type",
            "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Path", "X-HTTP-Method-Override", "X-Yeastar-Adapter",
            "X-Consumer-Username", "X-Credential-Identifier", "Cookie", "Range", "If-None-Match", "Forwarded", "Via",
            "Proxy-Authorization", "X-Kong-Request-Id", "Kong-Debug", "X-Accel-Redirect", "Max-Forwards", "Expect",
            "If-Modified-Since", "Keep-Alive", "HTTP2-Settings", "X-Original-URL", "Sec-WebSocket-Key", "Origin",
        ]
    ),
    st.from_regex(r"\A[A-Za-z0-9_-]{1,20}\Z"),
)  # fmt: skip
_extra_values = st.one_of(
    st.sampled_from(
        [
            "close", "keep-alive", "Authorization", "close, Authorization, Content-Type", "upgrade", "websocket", "h2c",
            "gzip, br", "trailers", "100-continue", "1", "*/*", "application/xml", "bytes=0-1", "", "text/html",
            "multipart/form-data; boundary=x", "application/grpc",
        ]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60),
)  # fmt: skip
_extras = st.lists(st.tuples(_extra_names, _extra_values), max_size=4)

# A second line of these makes nginx refuse the request; these two are written by `_framed` and `_requests`.
_ONCE = frozenset(
    [
        "authorization", "content-length", "content-range", "expect", "host", "if-match", "if-modified-since",
        "if-none-match", "if-range", "if-unmodified-since", "transfer-encoding",
    ]
)  # fmt: skip


@st.composite
def whole(draw: st.DrawFn) -> Request:
    """A complete request that nginx has nothing against, on the route or off it."""
    on_route = draw(st.integers(0, 9)) > 0
    target = draw(_paths if on_route else _other_paths)
    method = draw(_methods)
    bearer, refusal = _BEARERS[draw(st.sampled_from(["key"] * 8 + list(_BEARERS)))]
    body = draw(st.one_of(bodies.good(), bodies.any_body())) if method not in ("GET", "HEAD") else b""
    if len(body) > 60_000:
        body = body[:60_000]
    extras = _without_repetitions(draw(_extras))
    version = draw(st.sampled_from(["1.1"] * 7 + ["1.0"]))
    lines = [f"{method} {target} HTTP/{version}", "Host: kong"]
    if bearer is not None:
        lines.append(f"Authorization: {bearer}")
    lines += [f"{name}: {value}" for name, value in extras]
    names = {name.lower() for name, _ in extras}
    if "content-type" not in names and draw(st.booleans()):
        lines.append("Content-Type: application/json")
    chunked = version == "1.1" and draw(st.integers(0, 3)) == 0
    framing, content = _framed(body, chunked, draw(st.integers(0, 2**32)))
    raw = "\r\n".join([*lines, *framing, "", ""]).encode("latin-1") + content
    own = method in REFUSED_BY_NGINX or not on_route or _unusual(extras)
    return Request(
        method, raw, refusal is None, None if own else _expected(method, target, body, refusal), own
    )


def _expected(method: str, target: str, body: bytes, refusal: str | None) -> frozenset[str] | None:
    if refusal is not None:
        return frozenset({refusal})
    path = target.partition("?")[0]
    if path == VERIFY:
        return frozenset({"verified" if method == "GET" else "10002"})
    if path == SENDMESSAGE:
        if method != "POST":
            return frozenset({"10002"})
        # The stub itself refuses some recipients.
        return frozenset(oracle.of_body(body) | ({"10001"} if b"0000" in body else set()))
    return None


def _unusual(extras: list[tuple[str, str]]) -> bool:
    """Whether nginx or Kong itself has a say: `Expect` with anything but 100-continue, `TE`, gRPC …"""
    return any(
        (name.lower() == "expect" and value.strip(" ").lower() != "100-continue")
        or (name.lower() == "content-type" and "grpc" in value)
        or name.lower() in ("http2-settings", "range", "if-modified-since", "if-none-match")
        for name, value in extras
    )


def _without_repetitions(extras: list[tuple[str, str]]) -> list[tuple[str, str]]:
    kept, seen = [], {"host", "authorization", "content-length", "transfer-encoding"}
    for name, value in extras:
        lower = name.lower()
        if lower not in seen:
            kept.append((name, value))
        if lower in _ONCE:
            seen.add(lower)
    return kept


def _framed(body: bytes, chunked: bool, seed: int) -> tuple[list[str], bytes]:
    """Header lines and content: by length, or in chunks of any size."""
    if not chunked:
        return [f"Content-Length: {len(body)}"], body
    choices = random.Random(seed)
    parts, at = [], 0
    while at < len(body):
        size = choices.choice((1, 2, 7, 100, 5000))
        part = body[at : at + size]
        at += size
        extension = choices.choice((b"", b"", b";x=1", b" ", b';q="a"'))
        length = (b"%x" if choices.random() < 0.5 else b"%04X") % len(part)
        parts.append(length + extension + b"\r\n" + part + b"\r\n")
        if len(parts) > 200:
            rest = body[at:]
            if rest:
                parts.append(b"%x\r\n%b\r\n" % (len(rest), rest))
            break
    parts.append(b"0\r\n" + choices.choice((b"", b"X-Trailer: 1\r\n")) + b"\r\n")
    return ["Transfer-Encoding: chunked"], b"".join(parts)


@st.composite
def pieces(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes in one piece or several."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if end > start]


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """Requests with something wrong anywhere in them; none asks for a head alone, so that answers can be told apart."""
    some = draw(st.lists(whole().filter(lambda request: request.method != "HEAD"), min_size=1, max_size=2))
    original = b"".join(request.raw for request in some)
    choice = draw(st.integers(0, 5))
    if choice <= 2:
        return draw(bodies.mutated(st.just(original)))
    if choice == 3:
        head, _, body = original.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        at = draw(st.integers(0, len(lines)))
        lines.insert(at, draw(st.sampled_from(_BAD_LINES)))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body
    if choice == 4:
        return original[: draw(st.integers(0, len(original)))]
    return draw(st.binary(max_size=300))


_BAD_LINES = (
    b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: 0x10",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity",
    b"Transfer-Encoding : chunked", b"Authorization: Bearer another", b"Host: other", b"Host: a b", b"Host:", b"Host",
    b": nameless", b" folded", b"\tfolded", b"X:" + b"y" * 9000, b"X\x00: y", b"X: \x00", b"Expect: 200-maybe",
    b"Upgrade: websocket\r\nConnection: upgrade", b"Connection: Transfer-Encoding", b"\xff\xfe: \xfd", b"X: y\rZ: a",
    b"GET / HTTP/1.1", b"X: y\nContent-Length: 7",
)  # fmt: skip

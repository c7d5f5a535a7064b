"""What FutureSMS, or somebody in its place, could answer to an order."""

from __future__ import annotations

import gzip
import json

from hypothesis import strategies as st

from . import bodies

statuses = st.one_of(
    st.sampled_from(
        [200, 201, 202, 204, 301, 400, 401, 402, 403, 404, 409, 413, 415, 418, 422, 429, 500, 502, 503]
    ),
    st.integers(200, 999),
)

_error_codes = st.sampled_from(
    [
        "UNAUTHORIZED",
        "FORBIDDEN",
        "NOT_FOUND",
        "CONFLICT",
        "VALIDATION_ERROR",
        "TOO_MANY_REQUESTS",
        "OTHER",
        "",
    ]
)
_prose = st.one_of(
    st.sampled_from(["phone_number: must be E.164", "var", "", "TOKEN_EXPIRED"]), st.text(max_size=20)
)
_order_ids = st.one_of(
    st.sampled_from(["SDPS260325103012A1B2C3D", "", "0", "x" * 5000, "😀", '"', "\r\n", "\x00", "\ud83d"]),
    st.text(max_size=30),
    bodies.values,
)

accepted = st.fixed_dictionaries(
    {"data": st.one_of(st.fixed_dictionaries({"order_id": _order_ids}), bodies.values)},
    optional={"message": bodies.values, "meta": bodies.values},
)
refused = st.fixed_dictionaries(
    {"error_code": st.one_of(_error_codes, _error_codes, bodies.values)},
    optional={
        "reason": st.one_of(_prose, bodies.values),
        "details": st.one_of(_prose, st.lists(_prose, max_size=2), bodies.values),
        "data": st.fixed_dictionaries({"order_id": _order_ids}),
        "request_id": _prose,
    },
)
envelopes = st.one_of(accepted, refused)

_whole = st.one_of(
    st.just({"data": {"order_id": "SDPS1"}, "message": "Accepted", "details": None, "meta": {}}), envelopes
).map(lambda envelope: json.dumps(envelope).encode())

any_body = st.one_of(
    envelopes.flatmap(bodies.written),
    _whole,
    bodies.mutated(_whole),
    _whole.map(gzip.compress),
    bodies.mutated(_whole.map(gzip.compress)),
    st.sampled_from(
        [b"", b"<html><body>busy</body></html>", b"[" * 100_000, b" " * 2_000_000, b"null", b"\x1f\x8b"]
    ),
    st.binary(max_size=100),
)

waits = st.one_of(
    st.none(),
    st.sampled_from(
        ["0", "-1", "7", "1e9", "9" * 400, "Wed, 21 Oct 2099 07:28:00 GMT", "٧", "soon", "\udcff", ""]
    ),
    st.text(max_size=20),
)

_names = st.one_of(
    st.sampled_from(
        [
            "Content-Type", "Content-Encoding", "Set-Cookie", "Server", "X-Yeastar-Adapter", "Retry-After", "Location",
            "WWW-Authenticate", "Trailer", "Under_Score", "X-Kong-Request-Id", "Connection", "Keep-Alive", "Upgrade",
            "X-Accel-Redirect", "X-Accel-Buffering", "X-Accel-Charset", "Date", "Content-Length", "Via", "Status",
        ]
    ),
    st.from_regex(r"\A[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}\Z"),
)  # fmt: skip
_header_values = st.one_of(
    st.sampled_from(
        ["1", "0", "gzip", "close", "/etc/passwd", "text/html", "a=b; Path=/", "99999999999999999999"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40),
)
headers = st.dictionaries(_names, _header_values, max_size=5)


@st.composite
def raw(draw: st.DrawFn) -> bytes:
    """A whole answer as bytes: right, or with something wrong anywhere, or cut off anywhere."""
    body = draw(_whole)
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **draw(headers)}
    lines = [f"HTTP/1.1 {draw(statuses)} Whatever", *(f"{name}: {value}" for name, value in fields.items())]
    whole = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    choice = draw(st.integers(0, 3))
    if choice == 0:
        return whole
    if choice == 1:
        return whole[: draw(st.integers(0, len(whole)))]
    if choice == 2:
        return draw(bodies.mutated(st.just(whole)))
    return draw(st.binary(max_size=200))

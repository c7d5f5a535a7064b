"""Configurations that Kong lets through, made from the plugin's schema: right in type, and odd in everything else."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from yeastar_adapter.schema import SCHEMA

from .pdk import KEY

_strings = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "", " ", "\t", "\r\n", "x\r\nX-Injected: 1", "\x00", "\udcff\udcfe", "x" * 10_000, "😀", "\u200b", "\ufeff",
            "%s", "{0}", "${x}", "{vault://env/nothing}", "null", "0", "../..", "a b", "é",
        ]
    ),
)  # fmt: skip
_addresses = st.one_of(
    st.sampled_from(
        [
            "http://", "http:", "https://", "http://:80", "http://x:0", "http://x:99999", "http://x:1x", "http://[::1",
            "http://[::1]:80", "http://user:password@x", "http://x/path/", "http://x?a=b", "http://x#y", "http://x y",
            "http://x\r\nHost: y", "http://" + "a" * 64 + ".com", "http://\udcff", "http://é", "httpx://x", "http//x",
            "http://127.0.0.1:1\t", "http://x\\y", "http://%00", "http://xn--", "http://..", "http://x:", "HTTP://x",
        ]
    ),
    _strings.map(lambda text: f"http{text}"),
    _strings.map(lambda text: f"http://{text}"),
)  # fmt: skip
_keys = st.one_of(
    st.just(KEY),
    st.just(KEY),
    _strings,
    st.sampled_from(
        [
            "sha256:", "sha256:" + "0" * 64, "SHA256:" + "0" * 64, " sha256:" + "0" * 64, "sha256:" + "é" * 64,
            KEY + "\n", KEY[:19], "{vault://env/x}", "{vault:/env/some-key-of-a-pbx}", "x" * 100_000,
        ]
    ),
)  # fmt: skip
_numbers = st.sampled_from(
    ["+63280000001", "+639171234567", "+", "0917", "", " +63280000001", "+６３", "anything"]
)

# What a field of this name is given, beside what its type allows.
_NAMED: dict[str, st.SearchStrategy[Any]] = {
    "base_url": _addresses,
    "username": st.one_of(st.just("acme-manila"), _strings),
    "sender_id": st.one_of(st.just("SID-1"), _strings),
    "template_id": st.one_of(st.just("TPL1001"), _strings),
    "password": st.one_of(st.just("stub-password"), _strings),
    "text_field": st.one_of(st.just("var"), st.sampled_from(["phone_number", "sender_id"]), _strings),
    "path": st.one_of(st.just("/api/v1/sms/sends"), _strings.map(lambda text: f"/{text}")),
    "listen": st.one_of(
        st.sampled_from(["", "127.0.0.1:0", "unix:/x", "unix:", "x:99999", "[::1]:0"]), _strings
    ),
}


def configurations() -> st.SearchStrategy[dict[str, Any]]:
    """As the plugin receives them: nulls left out, and Kong's bookkeeping beside."""
    bookkeeping = st.fixed_dictionaries(
        {"__plugin_id": st.just("59e49850"), "__seq__": st.integers(0, 9)},
        optional={"route_id": st.just("fd579e05"), "consumer_id": st.just("5fd13671"), "$refs": st.just({})},
    )
    return st.builds(lambda config, more: {**config, **more}, _record({"fields": SCHEMA}), bookkeeping)


def _record(definition: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = [
        (name, field.get("required") or "default" in field or field["type"] == "record", _value(name, field))
        for entry in definition["fields"]
        for name, field in entry.items()
    ]
    return _filled_in(fields)


@st.composite
def _filled_in(draw: st.DrawFn, fields: list[tuple[str, bool, st.SearchStrategy[Any]]]) -> dict[str, Any]:
    return {name: draw(value) for name, always, value in fields if always or draw(st.integers(0, 4)) > 0}


def _value(name: str, field: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "one_of" in field:
        return st.sampled_from(field["one_of"])
    kind = field["type"]
    if kind == "record":
        return _record(field)
    if kind == "array":
        return st.lists(_value(name, field["elements"]), max_size=3)
    if kind == "map":
        return st.dictionaries(_numbers, _strings, max_size=3)
    if kind == "boolean":
        return st.booleans()
    if kind in ("integer", "number"):
        least, most = field.get("between", (field.get("gt", 0) + 1, 2**63))
        edges = [least, most, float(most) if kind == "number" else most]
        return st.one_of(st.sampled_from(edges), st.integers(least, most))
    made = _keys if name == "api_keys" else _NAMED.get(name, _strings)
    # Kong refuses an empty text, unless the schema says otherwise.
    shortest, longest = field.get("len_min", 1), field.get("len_max", 1 << 30)
    return made.filter(lambda text: shortest <= len(text) <= longest)

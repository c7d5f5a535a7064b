"""A configuration that is wrong: refused by Kong with the field's name, or refused to the PBX and named in the log.

Never a crash, and never open: whatever is missing or senseless, nobody sends without it.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from yeastar_adapter.schema import SCHEMA

from tests.harness.gateway import EmbeddedGateway, Gateway, wait_until
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import DEMO_KEY, Pbx
from tests.harness.stub import PASSWORD, USERNAME, StubClient

# --- what Kong itself refuses ------------------------------------------------------------------------------------


_MAP_KEY = "+63280000001"


@dataclass(frozen=True)
class Setting:
    """One field of the schema: the way to it (0: the first element of an array), and what the schema says of it."""

    way: tuple[str | int, ...]
    definition: dict[str, Any]

    def __str__(self) -> str:
        return ".".join(map(str, self.way))

    @property
    def name(self) -> str:
        """As Kong's complaint names it: an element goes by its array, a value by its map."""
        return next(step for step in reversed(self.way) if isinstance(step, str) and step != _MAP_KEY)


def settings(fields: list[dict[str, Any]], way: tuple[str | int, ...] = ()) -> Iterator[Setting]:
    """Every field of a schema, those inside of records, arrays and maps included."""
    for entry in fields:
        for name, definition in entry.items():
            yield from _inside(Setting((*way, name), definition))


def _inside(setting: Setting) -> Iterator[Setting]:
    yield setting
    definition = setting.definition
    if "fields" in definition:
        yield from settings(definition["fields"], setting.way)
    if "elements" in definition:
        yield from _inside(Setting((*setting.way, 0), definition["elements"]))
    if "values" in definition:
        yield from _inside(Setting((*setting.way, _MAP_KEY), definition["values"]))


_ALL = list(settings(SCHEMA))
_RECORDS = [
    Setting((), {"type": "record", "fields": SCHEMA}),
    *(s for s in _ALL if s.definition["type"] == "record"),
]

_WRONG_TYPES: dict[str, list[Any]] = {
    "string": [5, True, [], {}, ["x"], {"a": "b"}, 1.5],
    "integer": ["5", True, [], {}, 1.5, "", "1e3"],
    "number": ["5", True, [], {}, ""],
    "boolean": ["true", 1, 0, [], {}, ""],
    "array": ["x", 5, True, {"a": 1}],
    "map": ["x", 5, True, ["x"]],
    "record": ["x", 5, True, ["x"]],
}


def out_of_range(definition: dict[str, Any]) -> list[Any]:
    """Values of the right type that the schema rules out."""
    found: list[Any] = []
    if "between" in definition:
        least, most = definition["between"]
        found += [least - 1, most + 1, -most, 10**30]
    if "gt" in definition:
        found += [definition["gt"], definition["gt"] - 1, -(10**30)]
    if "one_of" in definition:
        found += ["nothing of these", definition["one_of"][0].upper(), definition["one_of"][0] + " "]
    if "len_max" in definition:
        found.append("x" * (definition["len_max"] + 1))
    if "starts_with" in definition:
        found += ["x" + definition["starts_with"], " " + definition["starts_with"]]
    if definition["type"] == "string" and definition.get("len_min", 1) > 0:
        found.append("")
    if definition.get("required"):
        found.append(None)
    return found


def put(config: Any, way: tuple[str | int, ...], value: Any) -> None:
    """Set a value in a configuration, making what is on the way to it."""
    for step, following in itertools.pairwise(way):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(config, list):
            if not config:
                config.append(empty)
            config = config[step]  # type: ignore[index]
        else:
            if not isinstance(config.get(step), (dict, list)):
                config[step] = empty
            config = config[step]
    if isinstance(config, list):
        config[:1] = [value]
    else:
        config[way[-1]] = value


def assert_refused(
    gateway: Gateway, kong_yml: KongYml, way: tuple[str | int, ...], value: Any, name: str
) -> None:
    changed = kong_yml.copy()
    put(changed.config, way, value)
    answer = gateway.try_load(changed)
    assert answer.status_code == 400, f"{'.'.join(map(str, way))} = {value!r:.80} is taken"
    assert name in json.dumps(answer.json()["fields"]), answer.text


@pytest.mark.parametrize("setting", _ALL, ids=str)
def test_a_value_that_the_schema_rules_out_is_refused_by_kong_and_the_field_named(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, setting: Setting
) -> None:
    wrong = [*_WRONG_TYPES[setting.definition["type"]], *out_of_range(setting.definition)]
    for value in wrong:
        assert_refused(gateway, kong_yml, setting.way, value, setting.name)
    assert pbx.verify().status == 200, "the configuration that was in force is so no more"


@pytest.mark.parametrize("record", _RECORDS, ids=lambda record: str(record) or "config")
def test_a_field_that_the_schema_does_not_have_is_refused_by_kong_and_named(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, record: Setting
) -> None:
    assert_refused(gateway, kong_yml, (*record.way, "no_such_setting"), 1, "no_such_setting")
    assert pbx.verify().status == 200


# --- what Kong lets through, of one consumer ------------------------------------------------------------------------

LATIN_1 = b"p\xe4ssword-of-latin-1-x".decode("utf-8", "surrogateescape")
ODD_KEYS = {
    "blank": ("{vault://env/blank}", r"api_keys\[1\] is blank"),
    "unset": ("{vault://env/never-set-anywhere}", r"api_keys\[1\] is blank"),
    "spaces": ("{vault://env/spaces}", r"api_keys\[1\] is blank"),
    "short": ("only-nineteen-chars", r"api_keys\[1\] is shorter than 20 characters"),
    "no digest": ("sha256:", r"api_keys\[1\]: 'sha256:' wants 64"),
    "cut digest": ("sha256:" + "0" * 63, r"api_keys\[1\]: 'sha256:' wants 64"),
    "no hex": ("sha256:" + "g" * 64, r"api_keys\[1\]: 'sha256:' wants 64"),
    "loud digest": ("SHA256:" + "0" * 63, r"api_keys\[1\]: 'sha256:' wants 64"),
    "mistyped reference": (
        "{vault:/env/acme-manila-key-of-mine}",
        r"api_keys\[1\] is a vault reference with a mistake",
    ),
    "two words": ("a key with spaces, thirty letters", r"api_keys\[1\] has white space in it"),
    "line break": ("{vault://env/two-lines}", r"api_keys\[1\] has white space in it"),
}
"""What stands in `api_keys`, and what the log says of it."""

ENVIRONMENT = {
    "BLANK": "",
    "SPACES": " \t ",
    "TWO_LINES": "first-line-of-a-key\nsecond-line-of-a-key",
    "LATIN_1": LATIN_1,
    "KEY_WITH_A_LINE_BREAK": "ystr_test_key_out_of_a_file_0123456789\n",
    "FUTURESMS_PASSWORD": PASSWORD,
}


@dataclass(frozen=True)
class Defect:
    """What is wrong with one consumer, whose key is good: `entry` goes over its entry."""

    entry: dict[str, Any]
    line: str
    code: str = "10005"
    message: dict[str, Any] = field(default_factory=dict)


def _merchant(**changes: Any) -> dict[str, Any]:
    return {"merchant": {"username": USERNAME, "password": PASSWORD, **changes}}


def _address(url: str) -> Defect:
    return Defect(_merchant(base_url=url), r"merchant\.base_url is not an http or https address")


DEFECTS = {
    "sender-blank": Defect({"sender_id": "{vault://env/blank}"}, r"order\.sender_id is blank"),
    "sender-spaces": Defect({"sender_id": "  "}, r"order\.sender_id is blank"),
    "sender-latin-1": Defect({"sender_id": "{vault://env/latin-1}"}, r"order\.sender_id is not valid UTF-8"),
    "template-blank": Defect({"template_id": "{vault://env/blank}"}, r"order\.template_id is blank"),
    "template-latin-1": Defect(
        {"template_id": "{vault://env/latin-1}"}, r"order\.template_id is not valid UTF-8"
    ),
    "senders-blank": Defect(
        {"senders": {"+63280000001": "{vault://env/blank}"}}, r"senders: the sender of .* is blank"
    ),
    "senders-latin-1": Defect(
        {"senders": {"+63280000001": "{vault://env/latin-1}"}},
        r"senders: the sender of .* is not valid UTF-8",
    ),
    "senders-no-number": Defect(
        {"senders": {"0280000001": "SID-1"}}, r"senders: '0280000001' is not an E\.164 number"
    ),
    "senders-line-break": Defect(
        {"senders": {"+63\n": "SID-1"}}, r"senders: '\+63\\n' is not an E\.164 number"
    ),
    "user-blank": Defect(_merchant(username="{vault://env/blank}"), r"merchant\.username is blank"),
    "user-latin-1": Defect(
        _merchant(username="{vault://env/latin-1}"), r"merchant\.username is not valid UTF-8"
    ),
    "password-blank": Defect(_merchant(password="{vault://env/blank}"), r"merchant\.password is blank"),
    "password-spaces": Defect(_merchant(password="{vault://env/spaces}"), r"merchant\.password is blank"),
    "password-latin-1": Defect(
        _merchant(password="{vault://env/latin-1}"), r"merchant\.password is not valid UTF-8"
    ),
    "password-wrong": Defect(
        _merchant(password="wrong"), r"FutureSMS refuses the log-in.*consumer=password-wrong"
    ),
    "password-two-lines": Defect(
        _merchant(password="{vault://env/two-lines}"),
        r"consumer password-two-lines: merchant\.password has a line break in it",
    ),
    "address-bare": _address("http://"),
    "address-bracket": _address("http://[::1"),
    "address-port": _address("http://127.0.0.1:99999"),
    "address-no-port": _address("http://127.0.0.1:0"),
    "address-scheme": _address("httpx://127.0.0.1"),
    "address-query": _address("http://127.0.0.1:1/?a=b"),
    "address-fragment": _address("http://127.0.0.1:1/#a"),
    "address-user": _address("http://user:password@127.0.0.1:1"),
    "address-line-break": _address("http://127.0.0.1:1\r\nHost: elsewhere"),
    "address-space": _address("http://127.0.0.1:1 "),
    "address-long-name": Defect(
        _merchant(base_url=f"http://{'a' * 64}.test"),
        r"FutureSMS cannot be reached.*consumer=address-long-name",
        code="10007",
    ),
    "address-nobody": Defect(
        _merchant(base_url="http://127.0.0.1:1"),
        r"FutureSMS cannot be reached.*consumer=address-nobody",
        code="10007",
    ),
    "off": Defect({"enabled": False}, r"consumer 'off' is disabled"),
    "stranger": Defect({}, r"Kong has no consumer 'stranger'"),
}


@pytest.fixture(scope="module")
def odd_gateway(
    tmp_path_factory: pytest.TempPathFactory, _base_kong_yml: KongYml, _stub: StubClient
) -> Iterator[EmbeddedGateway]:
    """A gateway with a consumer for each defect, and beside them one that has none."""
    kong_yml = _base_kong_yml.copy()
    kong_yml.config["merchant"]["password"] = "{vault://env/futuresms-password}"
    for name, defect in DEFECTS.items():
        kong_yml.add_pbx(name, key_of(name), **defect.entry)
    kong_yml["consumers"] = [each for each in kong_yml["consumers"] if each["username"] != "stranger"]
    for name, (key, _) in ODD_KEYS.items():
        kong_yml.add_pbx(name, key)
    kong_yml.add_pbx("file", "{vault://env/key-with-a-line-break}")
    gateway = EmbeddedGateway(
        tmp_path_factory.mktemp("odd"), kong_yml, environment={**os.environ, **ENVIRONMENT}
    )
    yield gateway
    assert gateway.stop() == 0
    assert PASSWORD not in gateway.log_ever()


def key_of(name: str) -> str:
    return f"ystr_test_{name}_0123456789"


@pytest.mark.parametrize("name", DEFECTS)
def test_what_is_wrong_with_a_consumer_is_refused_and_the_log_names_both(
    odd_gateway: EmbeddedGateway, stub: StubClient, pbx_at: Callable[..., Pbx], name: str
) -> None:
    defect = DEFECTS[name]
    answer = pbx_at(odd_gateway.proxy_url, key=key_of(name)).send()
    assert answer.code == defect.code
    assert stub.orders() == []
    line = defect.line if "consumer" in defect.line else rf"consumer {name}: {defect.line}"
    wait_until(lambda: re.search(line, odd_gateway.log()), 10, f"a line about {name}")


@pytest.mark.parametrize("name", ODD_KEYS)
def test_a_key_that_is_none_opens_to_nobody_and_the_log_names_it(
    odd_gateway: EmbeddedGateway, stub: StubClient, pbx_at: Callable[..., Pbx], name: str
) -> None:
    key, line = ODD_KEYS[name]
    guesses = [key, "", " ", key.strip(), key.removeprefix("sha256:"), *ENVIRONMENT["TWO_LINES"].splitlines()]
    for guess in guesses:
        assert pbx_at(odd_gateway.proxy_url, key=guess).send().code == "10004"
    assert stub.orders() == []
    wait_until(lambda: re.search(rf"consumer {name}: {line}", odd_gateway.log()), 10, f"a line about {name}")
    assert f"consumer {name}: api_keys: no usable key" in odd_gateway.log()


def test_all_those_defects_are_their_consumers_own(
    odd_gateway: EmbeddedGateway, stub: StubClient, pbx_at: Callable[..., Pbx]
) -> None:
    assert pbx_at(odd_gateway.proxy_url).send().status == 200
    file = ENVIRONMENT["KEY_WITH_A_LINE_BREAK"].strip()
    assert pbx_at(odd_gateway.proxy_url, key=file).send().status == 200, (
        "a line break at the end is no part of a key"
    )
    assert len(stub.orders()) == 2


# --- what Kong lets through, of all consumers -------------------------------------------------------------------------


def _two_with_one_key(kong_yml: KongYml) -> None:
    kong_yml.add_pbx("somebody-else", DEMO_KEY)


def _two_entries(kong_yml: KongYml) -> None:
    kong_yml.config["consumers"].append(
        {"username": "acme-manila", "api_keys": ["ystr_another_key_0123456789"]}
    )


def _order(**changes: Any) -> Callable[[KongYml], None]:
    return lambda kong_yml: kong_yml.config["order"].update(changes)


def _metrics(listen: str) -> Callable[[KongYml], None]:
    return lambda kong_yml: kong_yml.config.update(metrics={"listen": listen})


def _redis(**changes: Any) -> Callable[[KongYml], None]:
    def change(kong_yml: KongYml) -> None:
        kong_yml.limit(minute=100)
        kong_yml.config["rate_limit"].update(policy="redis", fault_tolerant=False)
        kong_yml.config["rate_limit"]["redis"].update(changes)

    return change


CONFLICTS: dict[str, tuple[Callable[[KongYml], None], str, str]] = {
    "two consumers, one key": (
        _two_with_one_key,
        "10007",
        r"acme-manila and somebody-else have the same API key",
    ),
    "two entries, one consumer": (_two_entries, "10007", r"consumers: acme-manila has two entries"),
    "text into another field": (
        _order(text_field="sender_id"),
        "10007",
        r"order\.text_field: 'sender_id' is a field",
    ),
    "an order path with a query": (_order(path="/api/v1/sms/sends?a=b"), "10007", ""),
    "an order path with a line break": (_order(path="/api/v1/sms/sends\r\nX: y"), "10007", ""),
    "an order path out of bounds": (_order(path="/../api/v1/sms/sends"), "10007", ""),
    "no template": (
        _order(template_id=None),
        "10005",
        r"consumer acme-manila: order\.template_id is not set",
    ),
    "a Redis server of another name": (
        _redis(host="nowhere.invalid"),
        "10007",
        r"Redis nowhere\.invalid:\d+ is unavailable",
    ),
    "a Redis server at another port": (_redis(port=1), "10007", r"Redis \S+:1 is unavailable"),
    "a Redis server that takes no password": (_redis(password="wrong"), "10007", r"Redis \S+ is unavailable"),
    "a Redis server without TLS": (_redis(ssl=True), "10007", r"Redis \S+ is unavailable"),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_what_is_wrong_for_all_is_refused_and_the_log_names_it(
    embedded_gateway: EmbeddedGateway, kong_yml: KongYml, stub: StubClient, pbx: Pbx, name: str
) -> None:
    change, code, line = CONFLICTS[name]
    change(kong_yml)
    before = len(embedded_gateway.log())
    embedded_gateway.load(kong_yml)
    assert pbx.send().code == code
    assert stub.orders() == []
    wait_until(lambda: re.search(line, embedded_gateway.log()[before:]), 10, f"a line about {name}")


_HARMLESS: dict[str, Callable[[KongYml], None]] = {
    "metrics nowhere": _metrics("nowhere"),
    "metrics at a name too long": _metrics("a" * 64 + ".test:0"),
    "metrics at a path too long": _metrics("unix:/" + "x" * 200),
    "metrics at no path": _metrics("unix:/\x00"),
    "metrics at a port too high": _metrics("127.0.0.1:65536"),
    "a limit beyond reckoning": lambda kong_yml: kong_yml.limit(
        second=2**62, minute=10**15, hour=10**18, day=10**15
    ),
    "the same counted in Redis": _redis(timeout_ms=5000),
    "no consumer is remembered": lambda kong_yml: kong_yml.config.update(consumer_cache_seconds=0),
    "a long delivery address": _order(dlr_address="https://é.example/" + "x" * 236),
}


@pytest.mark.parametrize("name", _HARMLESS)
def test_what_is_odd_but_harmless_stops_no_message(
    embedded_gateway: EmbeddedGateway, kong_yml: KongYml, stub: StubClient, pbx: Pbx, name: str
) -> None:
    _HARMLESS[name](kong_yml)
    if name == "the same counted in Redis":
        kong_yml.limit(second=2**53, day=10**15)
    embedded_gateway.load(kong_yml)
    pids = embedded_gateway.plugin_server_pids()
    for _ in range(3):
        assert pbx.send().status == 200
    assert len(stub.orders()) == 3
    assert embedded_gateway.plugin_server_pids() == pids

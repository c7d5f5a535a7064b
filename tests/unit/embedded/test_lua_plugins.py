"""Plugins in Lua: found on lua_package_path, configured by their schema, run beside the external plugin."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from kong_declarative import declarative
from kong_declarative.configuration_error import ConfigurationError
from kong_declarative.plugin_catalogue import PluginCatalogue

from kong.embedded.http.exchange import Exchange
from kong.embedded.plugins import lua_plugins, rpc
from kong.embedded.plugins.lua import Lua
from kong.embedded.plugins.lua_plugins import LuaPluginError
from tests.fidelity.recording import ReplayGateway, read_answer
from tests.fidelity.upstream import Upstream

LUA = Path(__file__).parents[2] / "fidelity/lua"
TEXT = "na\u00efve \U0001f600 \x00".encode().decode("latin-1")

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(b"{}", [("Content-Type", "application/json")], 1.0) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[ReplayGateway]:
    directory = tmp_path_factory.mktemp("lua")
    settings = {
        "plugins": "bundled,hello,early,yeastar-adapter,late",
        "lua_package_path": f"{LUA}/?.lua;;",
    }
    with ReplayGateway(
        directory, _configuration(upstream, ()), "scripted_plugin", settings=settings
    ) as running:
        yield running


@pytest.fixture
def ask(gateway: ReplayGateway, upstream: Upstream) -> Ask:
    """Send a request that meets these plugins; `script` is what the plugin server is to do."""

    def ask(
        *plugins: dict[str, Any],
        script: dict[str, Any] | None = None,
        body: str | None = None,
        **headers: str,
    ) -> dict[str, Any]:
        with gateway.connection() as connection:
            connection.port = gateway.admin_port
            text = json.dumps({"config": _configuration(upstream, plugins)})
            connection.request("POST", "/config", text, {"Content-Type": "application/json"})
            loaded = connection.getresponse()
            assert loaded.status == 201, loaded.read()
        with gateway.connection() as connection:
            given = {"X-Script": json.dumps(script or {}), **headers}
            data = body.encode("latin-1") if body is not None else None
            connection.request("POST" if body is not None else "GET", "/x", data, given)
            answer = read_answer(connection.getresponse())
        return {**answer, "headers": dict(answer["headers"])}

    return ask


def _configuration(upstream: Upstream, plugins: Any) -> str:
    route = {"name": "all", "paths": ["/"]}
    service = {"name": "up", "url": f"http://127.0.0.1:{upstream.port}", "routes": [route]}
    return json.dumps({"_format_version": "3.0", "services": [service], "plugins": list(plugins)})


def lua(name: str, **phases: str) -> dict[str, Any]:
    """A plugin whose phases run this Lua."""
    functions = ", ".join(f"{phase} = function(conf) {code} end" for phase, code in phases.items())
    return {"name": name, "config": {"run": f"return {{ {functions} }}"}}


ADAPTER = {"name": "yeastar-adapter"}


def test_a_plugin_gets_its_configuration_with_defaults(ask: Ask) -> None:
    answer = ask({"name": "hello", "config": {"names": ["Ada", "Grace"]}})
    assert answer["headers"]["X-Hello"] == "hello, Ada, Grace"
    assert answer["headers"]["X-Loaded"] == "1"  # init_worker has run, and another file was required


def test_its_schema_is_kept_to() -> None:
    catalogue = PluginCatalogue.of(["hello"], [lua_plugins.load("hello", f"{LUA}/?.lua;;")])
    for config, fault in (
        ({"greeting": 5}, "expected a string"),
        ({"mood": "grim"}, "not on duty"),
        ({"unknown": 1}, "unknown field"),
    ):
        text = json.dumps({"_format_version": "3.0", "plugins": [{"name": "hello", "config": config}]})
        with pytest.raises(ConfigurationError, match=fault):
            declarative.load(text, catalogue)
    text = json.dumps(
        {
            "_format_version": "3.0",
            "consumers": [{"username": "u"}],
            "plugins": [{"name": "hello", "consumer": "u"}],
        }
    )
    with pytest.raises(ConfigurationError, match="value must be null"):
        declarative.load(text, catalogue)


def test_ngx_ctx_keeps_any_key_and_value_to_the_log(ask: Ask, gateway: ReplayGateway) -> None:
    answer = ask(
        lua(
            "hello",
            access="local kept = {}; ngx.ctx[conf] = kept; ngx.ctx.kept = { same = kept };"
            "kept.f = function() return 'f' end",
            header_filter="local kept = ngx.ctx[conf]; kept.seen = rawequal(kept, ngx.ctx.kept.same)"
            " kong.response.set_header('X-Kept', tostring(kept.seen) .. kept.f() .. type(ngx.ctx.KONG_WAITING_TIME))",
            body_filter="if ngx.arg[2] then ngx.ctx[conf].body = true end",
            log="kong.log.notice('kept to the end: ', tostring(ngx.ctx[conf].body))",
        )
    )
    assert answer["headers"]["X-Kept"] == "truefnumber"
    gateway.child.wait_for("kept to the end: true", 10)


def test_the_shared_context_is_one_for_lua_and_the_plugin_server(ask: Ask) -> None:
    nested = "{ list = { 1, 2, { deep = bytes } }, no = false, n = 1.5 }"
    echo = [["kong.ctx.shared.set", "from_server", {"list": ["a", {"b": True}], "text": "\x00é"}]]
    answer = ask(
        lua(
            "early",
            access="local bytes = kong.request.get_raw_body();"
            f"ngx.ctx.mine = {nested}; kong.ctx.shared.question = ngx.ctx.mine; kong.ctx.shared.f = print",
            response="local got = kong.ctx.shared.question; local server = kong.ctx.shared.from_server;"
            "assert(rawequal(got, ngx.ctx.mine) and kong.ctx.shared.f == print);"
            "assert(got.list[3].deep == kong.request.get_raw_body());"
            "kong.response.exit(200, { server = server.list[1], deep = server.list[2].b, text = server.text,"
            "n = #got.list[3].deep })",
        ),
        ADAPTER,
        script={"access": [["kong.ctx.shared.get", "question"], *echo]},
        body=TEXT,
    )
    assert json.loads(answer["body"].encode("latin-1")) == {
        "server": "a",
        "deep": True,
        "text": "\x00é",
        "n": len(TEXT),
    }


def test_any_bytes_survive_the_way_to_the_plugin_server_and_back() -> None:
    lua, exchange = Lua(), Exchange(None)  # type: ignore[arg-type]  # no request, and so no worker
    lua.compile(
        "local all = {}; for byte = 0, 255 do all[#all + 1] = string.char(byte) end;"
        "kong.ctx.shared.sent = { raw = table.concat(all) }"
    ).run(exchange)
    sent = msgpack.unpackb(
        rpc.pack(rpc.result("kong.ctx.shared.get", exchange.lua.get_shared("sent"))), raw=True
    )
    assert sent == {b"raw": bytes(range(256))}
    for packed in ({"raw": bytes(range(256)).decode("utf-8", "surrogateescape")}, {"raw": bytes(range(256))}):
        key, value = rpc.arguments(["back", packed])
        exchange.lua.set_shared(key, value)
        same = lua.compile("return kong.ctx.shared.back.raw == kong.ctx.shared.sent.raw")
        assert same.run(exchange) is True


def test_the_response_phase_runs_in_the_order_of_priorities(ask: Ask) -> None:
    append = "kong.ctx.shared.order = (kong.ctx.shared.order or '') .. '{}'"
    answer = ask(
        lua("early", response=append.format("early ")),
        ADAPTER,
        lua("late", response=append.format("late") + "kong.response.exit(201, kong.ctx.shared.order)"),
        script={"response": [["kong.ctx.shared.set", "order", "replaced "]]},
    )
    assert (answer["status"], answer["body"]) == (201, "replaced late")


def test_an_exit_in_access_leaves_the_later_plugins_their_filters(ask: Ask, upstream: Upstream) -> None:
    before = len(upstream.received)
    answer = ask(
        lua("early", access="kong.response.exit(403, { no = 1 }) error('runs on')"),
        ADAPTER,
        {"name": "hello", "config": {}},
        lua("late", access="error('must not run')"),
    )
    assert (answer["status"], answer["body"], answer["headers"]["X-Hello"]) == (403, '{"no":1}', "")
    assert len(upstream.received) == before


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("require 'resty.http'", "module 'resty.http' not found"),
        ("kong.cache.get('x')", "kong.cache is not supported by the embedded gateway"),
        ("ngx.timer.at(0, print)", "ngx.timer.at is not supported by the embedded gateway"),
        ("kong.request.teleport()", "kong.request.teleport is not supported by the embedded gateway"),
        ("ngx.re.match('a', 'a')", "ngx.re is not supported by the embedded gateway"),
    ],
)
def test_what_the_gateway_does_not_have_is_refused_by_name(
    ask: Ask, gateway: ReplayGateway, code: str, fault: str
) -> None:
    assert ask(lua("late", access=code))["status"] == 500
    assert fault in gateway.child.output()


@pytest.mark.parametrize(
    ("plugin", "config", "fault"),
    [
        ("post-function", {"access": ["kong.request.get_body()"]}, "kong.request.get_body"),
        ("request-termination", {"echo": True}, "config.echo of request-termination"),
        ("key-auth", {"key_in_body": True}, "config.key_in_body of key-auth"),
    ],
)
def test_what_a_bundled_plugin_does_not_have_is_refused_by_name(
    ask: Ask, gateway: ReplayGateway, plugin: str, config: dict[str, Any], fault: str
) -> None:
    assert ask({"name": plugin, "config": config})["status"] == 500
    assert f"{fault} is not supported by the embedded gateway" in gateway.child.output()


def test_a_function_that_a_plugin_server_asks_for_in_vain_is_refused_by_name(
    ask: Ask, gateway: ReplayGateway
) -> None:
    answer = ask(ADAPTER, script={"access": [["kong.request.get_forwarded_host"]]})
    assert answer["status"] == 500
    assert (
        "kong.request.get_forwarded_host is not supported by the embedded gateway" in gateway.child.output()
    )


def test_a_bundled_plugin_that_the_gateway_does_not_have_is_refused_by_name(gateway: ReplayGateway) -> None:
    with gateway.connection() as connection:
        connection.port = gateway.admin_port
        plugin = {"name": "file-log", "config": {"path": "/tmp/log"}}
        text = json.dumps({"config": json.dumps({"_format_version": "3.0", "plugins": [plugin]})})
        connection.request("POST", "/config", text, {"Content-Type": "application/json"})
        refused = connection.getresponse()
        assert refused.status == 400
        assert "not supported by the embedded gateway" in refused.read().decode()


def test_what_a_plugin_logs_when_a_worker_starts_is_in_the_log(gateway: ReplayGateway) -> None:
    assert "[hello] starts, context: init_worker_by_lua*" in gateway.child.output()


def test_the_modules_that_plugins_of_this_project_require(ask: Ask) -> None:
    answer = ask(
        lua(
            "early",
            access="local cjson, safe = require 'cjson', require 'cjson.safe';"
            "local back = cjson.decode(cjson.encode({ a = { 1, cjson.null, 'x' }, e = cjson.empty_array }));"
            "assert(back.a[2] == ngx.null and back.a[3] == 'x' and #back.e == 0);"
            "local none, fault = safe.decode('{'); assert(none == nil and fault);"
            "assert(not pcall(cjson.decode, '{'));"
            "local random = require('resty.random').bytes(16);"
            "kong.response.exit(200, tostring(#random) .. require('resty.string').to_hex('\\0\\255'))",
        )
    )
    assert answer["body"] == "1600ff"


def test_lua_reads_and_changes_the_request_by_ngx(ask: Ask, upstream: Upstream) -> None:
    ask(
        lua(
            "early",
            access="ngx.req.read_body(); kong.ctx.shared.body = ngx.req.get_body_data();"
            "for name in pairs(ngx.req.get_headers()) do if name ~= 'host' then ngx.req.clear_header(name) end end;"
            "ngx.req.set_uri_args(''); ngx.req.set_header('X-Body', kong.ctx.shared.body);"
            "ngx.var.upstream_uri = '/elsewhere'; ngx.var.upstream_x_forwarded_for = ''",
        ),
        body="hi",
    )
    request = upstream.received[-1]
    names = {name.lower() for name, _ in request["headers"]}
    assert request["path"] == "/elsewhere"
    assert ["X-Body", "hi"] in request["headers"]
    assert not {"x-script", "x-forwarded-for"} & names


@pytest.mark.parametrize(
    ("handler", "fault"),
    [
        ("return { PRIORITY = 'high', VERSION = '1.0.0' }", "PRIORITY field is not a valid integer number"),
        ("return { PRIORITY = 1, VERSION = '1' }", 'does not follow the "x.y.z" format'),
        (
            "return { PRIORITY = 1, VERSION = '1.0.0', response = print, body_filter = print }",
            "implements both `response` and `header_filter` or `body_filter`",
        ),
        ("return {", "unexpected symbol|expected"),
    ],
)
def test_a_handler_that_kong_would_not_load_is_refused(tmp_path: Path, handler: str, fault: str) -> None:
    plugin = tmp_path / "kong/plugins/odd"
    plugin.mkdir(parents=True)
    (plugin / "schema.lua").write_text(
        "return { name = 'odd', fields = { { config = { type = 'record', fields = {} } } } }"
    )
    (plugin / "handler.lua").write_text(handler)
    with pytest.raises(LuaPluginError, match=fault):
        lua_plugins.load("odd", f"{tmp_path}/?.lua")

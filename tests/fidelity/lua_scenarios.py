"""Scenarios of plugins in Lua: what each does in its phases, and the request that meets it.

`python -m tests.fidelity.lua_scenarios` records what a real Kong makes of them; `docs/embedded-gateway.md` says how.
The plugins lie in `lua/`: `early` and `late` run the Lua of their configuration first and last, `hello` greets.
"""

from __future__ import annotations

import argparse
import http.client
import json
import time
from pathlib import Path
from typing import Any

from tests.fidelity.recording import DATA, read_answer
from tests.fidelity.upstream import Upstream

RECORDING = "lua-plugins.jsonl"
LUA = Path(__file__).with_name("lua")
ANSWER = b'{"ok": true}'
ANSWER_HEADERS = [("Content-Type", "application/json"), ("X-Twice", "one"), ("X-Twice", "two")]


def _plugin(name: str, **phases: str) -> dict[str, Any]:
    functions = ", ".join(f"{phase} = function(conf) {code} end" for phase, code in phases.items())
    return {"name": name, "config": {"run": f"return {{ {functions} }}"}}


def _tell(values: str) -> dict[str, Any]:
    """The plugin `late`, which answers with these values."""
    return _plugin("late", access=f"kong.response.exit(200, require('cjson').encode({{ {values} }}))")


HELLO = {"name": "hello", "config": {"names": ["Ada"]}}

# name → the plugins of a route
SCENARIOS: dict[str, list[dict[str, Any]]] = {
    "configuration with defaults": [HELLO],
    "ngx.ctx from access to log": [
        _plugin(
            "hello",
            access="ngx.ctx[conf] = { n = 1 }; ngx.ctx.same = ngx.ctx[conf]",
            header_filter="kong.response.set_header('X-Same', tostring(rawequal(ngx.ctx.same, ngx.ctx[conf])))",
            body_filter="if ngx.arg[2] then ngx.arg[1] = tostring(ngx.ctx[conf].n) end",
        )
    ],
    "kong.ctx.shared and kong.ctx.plugin": [
        _plugin("early", access="kong.ctx.shared.t = { 1, { a = true } }; kong.ctx.plugin.mine = 1"),
        _tell(
            "kong.ctx.shared.t[1], kong.ctx.shared.t[2].a, tostring(kong.ctx.plugin.mine), type(kong.ctx.shared)"
        ),
    ],
    "two response phases by priority": [
        _plugin("late", response="kong.response.exit(201, kong.ctx.shared.order .. 'late')"),
        _plugin("early", response="kong.ctx.shared.order = 'early '"),
    ],
    "response reads the service's answer": [
        _plugin(
            "early",
            response="local r = kong.service.response; local all = r.get_headers(); "
            "kong.response.exit(202, require('cjson').encode({ r.get_status(), r.get_raw_body(), all['x-twice'], "
            "r.get_header('X-Twice'), type(ngx.ctx.buffered_headers), next(all) == nil, kong.response.get_status() }))",
        )
    ],
    "response without an exit": [_plugin("early", response="kong.response.set_header('X-Seen', 'yes')")],
    "exit in access, filters of later plugins": [
        _plugin(
            "early", access="kong.response.exit(403, { no = 1 }, { ['X-Why'] = 'early' }); error('runs on')"
        ),
        HELLO,
        _plugin("late", access="error('must not run')"),
    ],
    "a handler that yields is left where it is": [
        _plugin("early", access="kong.ctx.shared.n = 1; coroutine.yield(); error('runs on')"),
        _tell("kong.ctx.shared.n"),
    ],
    "error in access": [_plugin("early", access="error('broken')"), HELLO],
    "error in response": [_plugin("early", response="error('broken')"), HELLO],
    "request by ngx": [
        _plugin(
            "early",
            access="ngx.req.read_body(); local body = ngx.req.get_body_data(); "
            "for name in pairs(ngx.req.get_headers(0)) do if name ~= 'host' then ngx.req.clear_header(name) end end; "
            "ngx.req.set_uri_args(''); ngx.req.set_header('X-Body', body); ngx.var.upstream_uri = '/elsewhere'; "
            "ngx.var.upstream_x_forwarded_for = ''; kong.service.request.set_raw_body('new')",
        )
    ],
    "nothing read, nothing known": [
        _tell(
            "tostring(kong.client.get_consumer()), tostring(kong.client.get_credential()), "
            "tostring(ngx.ctx.nothing), tostring(kong.ctx.shared.nothing), tostring(ngx.var.nothing)"
        )
    ],
    "an authenticated consumer": [
        _plugin("early", access="kong.client.authenticate({ id = 'c', username = 'u' }, { id = 'k' })"),
        _tell(
            "kong.client.get_consumer().username, kong.client.get_credential().id, ngx.ctx.authenticated_consumer.id"
        ),
    ],
    "cjson": [
        _plugin(
            "late",
            access="local cjson, safe = require 'cjson', require 'cjson.safe'; "
            "local back = cjson.decode('[1, 1.5, null, \"\\\\u00e9\", {}, [], 12345678901234567890]'); "
            "local none, fault = safe.decode('{'); "
            "kong.response.exit(200, cjson.encode({ back, back[3] == ngx.null, back[3] == cjson.null, type(none), "
            "type(fault), pcall(cjson.decode, '{'), cjson.empty_array, {}, 1e15, 0.1, 'a/b' }))",
        )
    ],
    "bytes": [
        _tell(
            "#require('resty.random').bytes(16), require('resty.string').to_hex('\\0a\\255'), "
            "ngx.encode_base64('\\0\\255'), ngx.decode_base64('AP8='):byte(1, 2)"
        )
    ],
    "kinds of what Kong gives": [
        _tell(
            "type(ngx.now()), type(ngx.var.request_id), kong.request.get_scheme(), "
            "ngx.get_phase(), kong.version, ngx.null == ngx.null, type(kong.configuration.plugins)"
        )
    ],
    "bookkeeping beside the configuration": [
        _plugin(
            "late",
            access="local names = {}; for name in pairs(conf) do names[#names + 1] = name end; table.sort(names); "
            "kong.response.exit(200, table.concat(names, ' '))",
        )
    ],
    "an argument that Kong refuses": [
        _plugin(
            "late",
            access="local ok, why = pcall(kong.response.exit, 'x'); "
            "kong.response.exit(200, tostring(ok) .. tostring(why))",
        )
    ],
}


def configuration(upstream_port: int) -> dict[str, Any]:
    """One route a scenario."""
    routes = [
        {"name": f"s{number}", "paths": [f"/{number}/"], "plugins": plugins}
        for number, plugins in enumerate(SCENARIOS.values())
    ]
    service = {"name": "up", "url": f"http://127.0.0.1:{upstream_port}", "routes": routes}
    return {"_format_version": "3.0", "services": [service]}


def play(proxy_port: int, upstream: Upstream) -> dict[str, dict[str, Any]]:
    """Every scenario's request, sent; name → {"answer", "upstream"}: what came back, and what the service received."""
    outcomes = {}
    for number, name in enumerate(SCENARIOS):
        upstream.forget()
        connection = http.client.HTTPConnection("127.0.0.1", proxy_port, timeout=30)
        headers = {"X-A": "1", "Authorization": "Bearer k", "Content-Type": "application/json"}
        connection.request("POST", f"/{number}/x?q=1", '{"a": 1}', headers)
        answer = read_answer(connection.getresponse())
        connection.close()
        received = upstream.forget()
        outcomes[name] = {"answer": answer, "upstream": received[0] if received else None}
    return outcomes


def main() -> None:
    """Record: `early`, `hello` and `late` have to be enabled in the Kong that listens at these ports."""
    parser = argparse.ArgumentParser(prog="tests.fidelity.lua_scenarios", description=main.__doc__)
    parser.add_argument("proxy_port", type=int)
    parser.add_argument("admin_port", type=int)
    options = parser.parse_args()
    with Upstream(ANSWER, ANSWER_HEADERS, 1.0) as upstream:
        admin = http.client.HTTPConnection("127.0.0.1", options.admin_port, timeout=30)
        text = json.dumps({"config": json.dumps(configuration(upstream.port))})
        admin.request("POST", "/config", text, {"Content-Type": "application/json"})
        loaded = admin.getresponse()
        if loaded.status != 201:
            raise SystemExit(loaded.read().decode())
        time.sleep(3)  # a real Kong puts it in force later
        outcomes = play(options.proxy_port, upstream)
        with (DATA / RECORDING).open("w", encoding="utf-8") as lines:
            for name, outcome in outcomes.items():
                lines.write(
                    json.dumps({"scenario": name, "ports": [options.proxy_port, upstream.port], **outcome})
                    + "\n"
                )


if __name__ == "__main__":
    main()

"""`make run`: kong.yml on this machine, with the embedded gateway, the FutureSMS stub and a real Redis server."""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import shlex
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import trustme
from kong_declarative.declarative import ConfigurationError, load_file
from kong_declarative.plugin_catalogue import PluginCatalogue, PluginDefinition
from yeastarctl.check.checker import check_files
from yeastarctl.check.command import summary

from kong.embedded.child import Child, ChildError, die_with_parent
from kong.embedded.plugins import lua_plugins
from kong.embedded.plugins.lua_plugins import LuaPluginError
from kong.embedded.plugins.plugin_server import PluginServerDefinition, PluginServerError, dump
from kong.embedded.redis_server import RedisNotFoundError, start_redis
from kong.embedded.substitution import PLUGIN, Declaration, DemoError, StandIns, Substitution

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
_SSL_PORT = 8443
STUB_USER, STUB_PASSWORD = "yeastar-gateway", "stub-password"
KEY_ON = "ystr_demo_acme_manila_7Jw2pVqX9sKd4nBt"
KEY_OFF = "ystr_demo_globex_cebu_Qm5TzL8rYc3WhN6v"
VERIFY = "/api/v1/integration/yeastar/sms/verify"
SENDMESSAGE = "/api/v1/integration/yeastar/sms/sendmessage"

_QUERY = "KONG_PLUGINSERVER_YEASTAR_ADAPTER_QUERY_CMD"
_READY = r"^kong\.embedded ready proxy=(\S+) admin=(\S+) proxy_ssl=(\S+)"


def main(arguments: Sequence[str] | None = None) -> int:
    _let_signals_stop_it()
    children: list[Child] = []
    try:
        options = _parse(arguments)
        with tempfile.TemporaryDirectory(prefix="yeastar-demo-") as directory:
            try:
                demo = Demo(options, Path(directory), children)
                demo.start()
                demo.serve()
            finally:
                for child in reversed(children):
                    child.stop()
    except (DemoError, RedisNotFoundError) as problem:
        print(f"make run: {problem}", file=sys.stderr)
    except (_Stopped, BrokenPipeError):
        return 0
    return 1


class Demo:
    """Stub, Redis and gateway, each a child process that is added to `children` as soon as it runs."""

    def __init__(self, options: argparse.Namespace, directory: Path, children: list[Child]) -> None:
        self._name: Path = options.kong_yml
        self._ports: dict[str, int] = {
            "PROXY_PORT": options.proxy_port,
            "ADMIN_PORT": options.admin_port,
            "STUB_PORT": options.stub_port,
        }
        # Nobody who has not asked for HTTPS need think of its port.
        if options.proxy_ssl_port is not None or _is_free(_SSL_PORT):
            self._ports["PROXY_SSL_PORT"] = (
                _SSL_PORT if options.proxy_ssl_port is None else options.proxy_ssl_port
            )
        self._directory = directory
        self._prefix = directory / "prefix"
        self._children = children
        self._environ = dict(os.environ)

    def start(self) -> None:
        """Start everything and say so. Raises DemoError in one line."""
        _assert_free(self._ports)
        self._seen = _stamp(self._name)
        declaration = Declaration.read(self._name)
        environ = dict(self._environ)
        _found, keys = declaration.set_variables(environ, STUB_USER, STUB_PASSWORD)
        self._assert_kong_would_take_it(environ)
        stub_url = self._start_stub()
        redis_port = self._start_redis(needed=declaration.uses_redis)
        self._stand_ins = StandIns(stub_url, redis_port, STUB_USER, STUB_PASSWORD, dict(self._environ) | keys)
        used = [Substitution(variable, "not set", key) for variable, key in keys.items()]
        used += self._stand_ins.use(declaration)
        self._environ = dict(self._stand_ins.variables)
        authority = self._make_certificate()
        proxy_url, self._admin_url, proxy_ssl_url = self._start_gateway(declaration)
        redis_line = (
            f"{HOST}:{redis_port}" if redis_port else "not started: the limits are counted without it"
        )
        print(
            f"\nServing {self._name} without Docker: the embedded gateway stands in for Kong.\n\n"
            f"  gateway    {proxy_url}   Admin API {self._admin_url}\n"
            f"  HTTPS      {proxy_ssl_url}   trust {authority}\n"
            f"  FutureSMS  {stub_url}   the stub: no SMS leaves this machine\n"
            f"  Redis      {redis_line}\n"
            f"  prefix     {self._prefix}\n"
        )
        _print_substitutions(used, self._name)
        _print_check(self._name, self._environ)
        _print_examples(declaration, keys, proxy_url, stub_url, _over_tls(proxy_ssl_url, authority))
        print("Ctrl-C stops everything. A changed file is loaded at once. The gateway's log:\n", flush=True)

    def serve(self) -> None:
        """Show the gateway's log, and load a changed file, until a signal comes.

        Raises DemoError where one of the processes ends.
        """
        gateway = self._children[-1]
        shown = len(gateway.output())
        while True:
            for child in self._children:
                if not child.alive:
                    raise DemoError(f"{child.name} ended unexpectedly with status {child.returncode}")
            log = gateway.output()
            if len(log) > shown:
                sys.stderr.write(log[shown:])
                sys.stderr.flush()
                shown = len(log)
            stamp = _stamp(self._name)
            if stamp != self._seen:
                self._seen = stamp
                self._load_again()
            time.sleep(0.2)

    def _load_again(self) -> None:
        """Post the changed file to the Admin API; what is wrong with it is told, and the former one stays."""
        try:
            declaration = Declaration.read(self._name)
            environ = dict(self._stand_ins.variables)
            _found, keys = declaration.set_variables(environ, STUB_USER, STUB_PASSWORD)
            self._assert_kong_would_take_it(environ)
            self._stand_ins.variables |= keys
            self._stand_ins.use(declaration)
            declaration.write_out(self._environ, self._stand_ins.variables)
            _post(f"{self._admin_url}/config", declaration.document)
        except DemoError as problem:
            print(
                f"make run: not loaded, the former configuration stays: {problem}",
                file=sys.stderr,
                flush=True,
            )
            return
        print(f"make run: loaded {self._name}, which has changed", flush=True)
        for variable, key in keys.items():
            print(f"  {variable}   not set → {key}", flush=True)

    def _assert_kong_would_take_it(self, environ: Mapping[str, str]) -> None:
        """Check the file as it stands, where an error still has its own line number.

        `environ`: with what is missing filled in; whatever else is not set may be blank, and is not warned of.
        """
        try:
            adapter, *in_lua = _plugins()
            names = ["bundled", PLUGIN, *(plugin.name for plugin in in_lua)]
            catalogue = PluginCatalogue.of(names, [adapter, *in_lua])
            load_file(str(self._name), catalogue, environ=_Blank(environ))
        except ConfigurationError as problem:
            raise DemoError(f"{problem} (more: yeastarctl config check {self._name})") from None
        except (LuaPluginError, PluginServerError) as problem:
            raise DemoError(str(problem)) from None

    def _start_stub(self) -> str:
        command = [sys.executable, "-m", "upstream_stub", "--listen", f"{HOST}:{self._ports['STUB_PORT']}"]
        stub = self._run("upstream_stub", command, "stub.log")
        return self._ready(stub, r"^upstream_stub ready (\S+)")[0]

    def _start_redis(self, *, needed: bool) -> int | None:
        """The port. A configuration that is loaded later may need it, even if the first one does not."""
        try:
            redis, port = start_redis(self._directory)
        except RedisNotFoundError:
            if needed:
                raise
            return None
        except ChildError as problem:
            raise DemoError(" ".join(str(problem).split())) from None
        self._children.append(redis)
        return port

    def _make_certificate(self) -> Path:
        """A certificate of `localhost` for the gateway; the file of the authority that has issued it."""
        authority = trustme.CA(organization_name="kong-yeastar-adapter demo")
        issued = authority.issue_cert("localhost", HOST)
        files = {name: self._directory / f"{name}.pem" for name in ("ca", "certificate", "key")}
        files["key"].touch(mode=0o600)
        authority.cert_pem.write_to_path(str(files["ca"]))
        issued.cert_chain_pems[0].write_to_path(str(files["certificate"]))
        issued.private_key_pem.write_to_path(str(files["key"]))
        self._environ["KONG_SSL_CERT"] = str(files["certificate"])
        self._environ["KONG_SSL_CERT_KEY"] = str(files["key"])
        return files["ca"]

    def _start_gateway(self, declaration: Declaration) -> tuple[str, str, str]:
        changed = self._directory / "kong.yml"
        changed.touch(mode=0o600)
        changed.write_text(json.dumps(declaration.document, indent=1), encoding="utf-8")
        stand_ins = self._directory / "stand-ins.json"
        stand_ins.touch(mode=0o600)
        stand_ins.write_text(json.dumps(asdict(self._stand_ins)), encoding="utf-8")
        description = self._directory / "yeastar-adapter.json"
        description.write_text(_description(), encoding="utf-8")
        self._environ.setdefault(_QUERY, shlex.join(("cat", str(description))))
        self._prefix.mkdir()
        command = [sys.executable, "-m", "kong.embedded", "--kong-yml", str(changed)]
        command += ["--prefix", str(self._prefix), "--stand-ins", str(stand_ins)]
        command += ["--conf", str(ROOT / "kong" / "kong.conf")]
        command += ["--proxy-listen", f"{HOST}:{self._ports['PROXY_PORT']}"]
        command += ["--admin-listen", f"{HOST}:{self._ports['ADMIN_PORT']}"]
        command += ["--proxy-ssl-listen", f"{HOST}:{self._ports.get('PROXY_SSL_PORT', 0)}"]
        gateway = self._run("the gateway", command, "gateway.log")
        proxy_url, admin_url, proxy_ssl_url = self._ready(gateway, _READY)
        return proxy_url, admin_url, proxy_ssl_url

    def _run(self, name: str, command: list[str], log: str) -> Child:
        child = Child(name, command, log=self._directory / log, environment=self._environ, directory=ROOT)
        self._children.append(child)
        return child

    def _ready(self, child: Child, pattern: str) -> tuple[str, ...]:
        try:
            return child.wait_for(pattern, 60).groups()
        except ChildError:
            lines = child.output().strip().splitlines() or [f"{child.name} did not start and said nothing"]
            told = lines[-1].replace(str(self._directory / "kong.yml"), str(self._name))
            raise DemoError(told) from None


class _Stopped(BaseException):
    """A signal that ends the demo."""


@cache
def _description() -> str:
    """What the adapter says that it is: a process is started for it, once. Raises PluginServerError."""
    return dump(PluginServerDefinition.make(PLUGIN, (sys.executable, "-m", "yeastar_adapter"), "", {}))


@cache
def _plugins() -> tuple[PluginDefinition, ...]:
    """The adapter and the plugins in Lua. Raises LuaPluginError, PluginServerError."""
    in_lua = (lua_plugins.load(name, ";;") for name in lua_plugins.repository_plugins())
    return (PluginDefinition.from_dump(_description()), *in_lua)


def _let_signals_stop_it() -> None:
    """The first signal stops the demo; those after it do not disturb the stopping."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise _Stopped

    for number in numbers:
        signal.signal(number, stop)
    if "MAKELEVEL" in os.environ:
        die_with_parent()


class _Blank(dict[str, str]):
    """An environment in which every variable is set, if only to nothing."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, "" if default is None else default)


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file does; None while an editor replaces it."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _post(url: str, document: Any) -> None:
    """Raises DemoError with the reason that the Admin API gives."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(document).encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30):
            pass
    except urllib.error.HTTPError as refused:
        raise DemoError(refused.read().decode("utf-8", "replace")) from None
    except OSError as problem:
        raise DemoError(str(problem)) from None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex((HOST, port)) != 0


def _assert_free(ports: Mapping[str, int]) -> None:
    """Raises DemoError that names every port that is taken, and the command that uses others."""
    reasons, options = [], []
    for variable, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as problem:
                taken = problem.errno == errno.EADDRINUSE
                reasons.append(f"port {port} of {HOST} " + ("is taken" if taken else f"({problem.strerror})"))
                options.append(f"{variable}={port + 100 if port < 65000 else 8090}")
    if reasons:
        raise DemoError(
            f"{', '.join(reasons)}: stop what listens there, or choose others: make run {' '.join(options)}"
        )


def _print_substitutions(used: list[Substitution], name: Path) -> None:
    if not used:
        return
    wide = max(len(one.where) for one in used)
    print(f"Used here instead of what {name} says:\n")
    for one in used:
        print(f"  {one.where.ljust(wide)}   {one.before} → {one.after}")
    print()


def _print_check(name: Path, environ: Mapping[str, str]) -> None:
    """What `yeastarctl config check` says of the file, in short; Kong takes it, or the demo would not run."""
    findings = check_files([name], environ)
    for finding in findings:
        if finding.severity == "error":
            print(f"  {finding.file}:{finding.line}: {finding.problem}")
    print(f"Config check: {summary(findings)}; `yeastarctl config check {name}` explains them.\n")


def _print_examples(
    declaration: Declaration, keys: Mapping[str, str], proxy_url: str, stub_url: str, over_tls: str
) -> None:
    """`keys`: those that were made, by variable. `over_tls`: a command that does the first one over HTTPS."""
    known = {key for entry in declaration.consumers() for key in entry.get("api_keys") or ()}
    made = next(iter(keys.values()), None)
    on = KEY_ON if _is_among(KEY_ON, known) else made or next(iter(declaration.key_auth_keys()), None)
    key = on or "YOUR-KEY"
    message = '{"from": "+63280000001", "to": "+639171234567", "text": "Your table is ready"}'
    print("Try it, in another terminal" + (":\n" if on else ", with a key of yours for YOUR-KEY:\n"))
    print(f"  # The key is good: 200\n  curl -i {proxy_url}{VERIFY} -H 'Authorization: Bearer {key}'\n")
    print(f"  # A message becomes an order: 200 with its id\n  {_send(proxy_url, key, message)}\n")
    print(f"  # The order, as FutureSMS received it\n  curl {stub_url}/__stub__/orders\n")
    print(f"  # A wrong key: 401, 10004\n  {_send(proxy_url, 'wrong', message)}\n")
    if _is_among(KEY_OFF, known):
        print(f"  # A disabled PBX: 403, 10005\n  {_send(proxy_url, KEY_OFF, message)}\n")
    print(f"  # The first one over HTTPS\n  YEASTARCTL_KEY='{key}' {over_tls}\n")


def _over_tls(proxy_ssl_url: str, authority: Path) -> str:
    return f"{Path(sys.executable).with_name('yeastarctl')} verify --url {proxy_ssl_url} --ca {authority}"


def _send(proxy_url: str, key: str, message: str) -> str:
    return (
        f"curl -i {proxy_url}{SENDMESSAGE} -H 'Authorization: Bearer {key}' \\\n"
        f"    -H 'Content-Type: application/json' -d '{message}'"
    )


def _is_among(key: str, known: set[str]) -> bool:
    return key in known or f"sha256:{hashlib.sha256(key.encode()).hexdigest()}" in known


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        option, colon, rest = message.removeprefix("argument --").partition(": ")
        raise DemoError(f"{option.upper().replace('-', '_')}: {rest}" if colon else message)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    environ: Mapping[str, str] = os.environ
    parser = _Parser(prog="make run", description=__doc__)
    parser.add_argument("--kong-yml", type=Path, default=Path(environ.get("KONG_YML") or "kong.yml"))
    for name, default in (("proxy", "8000"), ("admin", "8001"), ("stub", "8080")):
        variable = f"{name.upper()}_PORT"
        parser.add_argument(f"--{name}-port", type=_port, default=environ.get(variable) or default)
    parser.add_argument("--proxy-ssl-port", type=_port, default=environ.get("PROXY_SSL_PORT") or None)
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a number from 0 (any free port) to 65535 is needed, not '{text}'")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

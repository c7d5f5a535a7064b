"""A gateway under test: any one with a proxy and an Admin API, or an embedded one of the suite's own."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import requests

from kong.embedded.child import Child

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "yeastar-adapter"
TLS = Path(__file__).with_name("tls")
CA = TLS / "ca.pem"
_RELOADS = re.compile(r"^kong\.embedded (reloaded|reload failed)$", re.MULTILINE)


class Gateway:
    """A gateway that is reached over HTTP alone, such as a real Kong.

    `probe_url` is something that answers 200 to a GET and that the gateway can reach: `load` waits on it until a
    new configuration is in force.
    """

    # Every worker of a Kong has its own copy of the configuration, and takes its own time.
    _looks = 5

    def __init__(self, proxy_url: str, admin_url: str, probe_url: str | None = None) -> None:
        self.proxy_url = proxy_url.rstrip("/")
        self.admin_url = admin_url.rstrip("/")
        self.probe_url = probe_url
        self.loaded: str | None = None
        """The configuration that is in force, as JSON; None where that is not known."""
        self._http = requests.Session()
        self._http.trust_env = False

    def load(self, configuration: Mapping[str, Any] | str) -> None:
        """Put a declarative configuration in force (`POST /config`). Raises AssertionError with Kong's answer."""
        answer = self.try_load(configuration)
        assert answer.status_code == 201, f"POST /config → {answer.status_code}: {answer.text[:2000]}"

    def try_load(self, configuration: Mapping[str, Any] | str) -> requests.Response:
        """`POST /config`: 201, or Kong's 400 that says what is wrong."""
        if isinstance(configuration, str):
            self.loaded = None
            return self._post_config(configuration)
        path = f"/__config/{uuid.uuid4().hex}"
        answer = self._post_config(json.dumps(self._with_probe(configuration, path)))
        if answer.status_code == 201:
            self.loaded = json.dumps(configuration, sort_keys=True)
            if self.probe_url is not None:
                self._wait_for_route(path)
        return answer

    def admin(self, method: str, path: str, **options: Any) -> requests.Response:
        """A call of the Admin API, such as `admin("PATCH", "/plugins/…", json={…})`. Forgets what is loaded."""
        if method != "GET":
            self.loaded = None
        return self._http.request(method, f"{self.admin_url}{path}", timeout=30, **options)

    def _post_config(self, text: str) -> requests.Response:
        return self._http.post(f"{self.admin_url}/config", json={"config": text}, timeout=60)

    def _with_probe(self, configuration: Mapping[str, Any], path: str) -> dict[str, Any]:
        services = list(configuration.get("services") or [])
        if self.probe_url is not None:
            route = {"name": "config-probe", "paths": [path], "strip_path": True}
            services.append({"name": "config-probe", "url": self.probe_url, "routes": [route]})
        return {**configuration, "services": services}

    def _wait_for_route(self, path: str) -> None:
        """As often in a row as it takes to know, each time on a new connection."""
        in_a_row = 0
        deadline = time.monotonic() + 90
        while in_a_row < self._looks:
            answer = requests.get(self.proxy_url + path, headers={"Connection": "close"}, timeout=10)
            in_a_row = in_a_row + 1 if answer.status_code == 200 else 0
            assert time.monotonic() < deadline, "the configuration is not in force 90 s after POST /config"
            if not in_a_row:
                time.sleep(0.01)


@cache
def _description() -> Path:
    """What the plugin server says of its plugin, in a file: once for all gateways of this process."""
    said = subprocess.run(
        [sys.executable, "-m", "yeastar_adapter", "-dump"], cwd=ROOT, check=True, capture_output=True
    )
    with tempfile.NamedTemporaryFile(prefix="yeastar-adapter-", suffix=".json", delete=False) as file:
        file.write(said.stdout)
    path = Path(file.name)
    atexit.register(path.unlink, missing_ok=True)
    return path


class EmbeddedGateway(Gateway):
    """An embedded gateway, `python -m kong.embedded`, as a process of the suite's own.

    `proxy_ssl_url` is its proxy with TLS; what `CA` has signed is the certificate of `localhost` and `127.0.0.1`.
    """

    # Its workers change over together, before the Admin API answers.
    _looks = 1

    def __init__(
        self,
        directory: Path,
        kong_yml: Mapping[str, Any] | str,
        *,
        probe_url: str | None = None,
        environment: Mapping[str, str] | None = None,
        workers: int = 2,
        plugin_command: str | None = None,
        kong_conf: Path = ROOT / "kong" / "kong.conf",
        options: Sequence[str] = (),
    ) -> None:
        # A short path: that of a Unix socket has at most 107 characters.
        self._temporary = tempfile.TemporaryDirectory(prefix="kong-", ignore_cleanup_errors=True)
        self.prefix = Path(self._temporary.name)
        directory.mkdir(parents=True, exist_ok=True)
        declared = directory / "kong.yml"
        declared.write_text(kong_yml if isinstance(kong_yml, str) else json.dumps(kong_yml))
        command: list[str | Path] = [sys.executable, "-m", "kong.embedded", "--kong-yml", declared]
        command += ["--conf", kong_conf, "--prefix", self.prefix, "--workers", str(workers)]
        if plugin_command is not None:
            command += ["--plugin-command", f"{PLUGIN}={plugin_command}"]
        self._command = [*command, *options]
        self._environment = {
            "KONG_PLUGINSERVER_YEASTAR_ADAPTER_QUERY_CMD": f"cat {_description()}",
            "KONG_SSL_CERT": str(TLS / "server.pem"),
            "KONG_SSL_CERT_KEY": str(TLS / "server.key"),
            **(os.environ if environment is None else environment),
        }
        self._log = directory / "gateway.log"
        self._child, proxy_url, admin_url, self.proxy_ssl_url = self._start(*["127.0.0.1:0"] * 3)
        super().__init__(proxy_url, admin_url, probe_url)
        if not isinstance(kong_yml, str):
            self.loaded = json.dumps(kong_yml, sort_keys=True)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.alive

    def log(self) -> str:
        """What gateway and plugin server have logged since the (last) start."""
        return self._child.output()

    def log_ever(self) -> str:
        """The same over every start."""
        return self._log.read_text(errors="replace")

    def reload(self) -> None:
        """`kong reload`: new workers and a new plugin server take over while the old ones finish.

        Returns when the file's configuration is in force. Raises AssertionError where the gateway refuses it.
        """
        before = len(_RELOADS.findall(self._child.output()))
        self._child.send(signal.SIGHUP)
        outcomes = wait_until(
            lambda: _RELOADS.findall(self._child.output())[before:], 60, "a reload after SIGHUP"
        )
        assert outcomes == ["reloaded"], self.log()[-2000:]
        self.loaded = None

    def plugin_server_pids(self) -> list[int]:
        """The plugin servers that run: one, or two for a while after a reload."""
        try:
            family = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return [process.pid for process in family if _serves_plugin(process)]

    def kill_plugin_server(self) -> list[int]:
        """SIGKILL. Returns the pids; the gateway starts a new one about 1 s later."""
        return self._signal_plugin_server(signal.SIGKILL)

    def stop_plugin_server(self) -> list[int]:
        """SIGSTOP: it hangs without dying, until `cont_plugin_server`."""
        return self._signal_plugin_server(signal.SIGSTOP)

    def cont_plugin_server(self) -> list[int]:
        return self._signal_plugin_server(signal.SIGCONT)

    def wait_for_plugin_server(self, seconds: float = 30) -> None:
        """Until one runs and listens again."""
        socket = self.prefix / f"{PLUGIN}.socket"
        wait_until(lambda: self.plugin_server_pids() and socket.exists(), seconds, "a plugin server")

    def kill(self) -> None:
        self._child.kill()

    def restart(self) -> None:
        """Start it again at the same addresses, with the kong.yml of its first start."""
        if self.alive:
            self._child.stop()
        self._child, *_ = self._start(
            _address(self.proxy_url), _address(self.admin_url), _address(self.proxy_ssl_url)
        )
        self.loaded = None

    def stop(self) -> int:
        """SIGTERM, for good. Returns its exit status."""
        self.cont_plugin_server()
        status = self._child.stop(20)
        self._temporary.cleanup()
        return status

    def _signal_plugin_server(self, number: signal.Signals) -> list[int]:
        pids = self.plugin_server_pids()
        for pid in pids:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself
                psutil.Process(pid).send_signal(number)
        return pids

    def _start(self, proxy: str, admin: str, proxy_ssl: str) -> tuple[Child, str, str, str]:
        child = Child(
            "kong.embedded",
            [
                *self._command,
                "--proxy-listen",
                proxy,
                "--admin-listen",
                admin,
                "--proxy-ssl-listen",
                proxy_ssl,
            ],
            log=self._log,
            environment=self._environment,
            directory=ROOT,
        )
        ready = child.wait_for(r"^kong\.embedded ready proxy=(\S+) admin=(\S+) proxy_ssl=(\S+)", 60)
        return child, ready[1], ready[2], ready[3]


def wait_until(condition: Callable[[], Any], seconds: float, what: str, pause: float = 0.01) -> Any:
    """The first true value of `condition`. Raises AssertionError where there is none within `seconds`.

    `pause`: between two looks; more where a look is work for whoever is waited for.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(pause)
    return value


def _serves_plugin(process: psutil.Process) -> bool:
    try:
        command = " ".join(process.cmdline())
        is_server = "yeastar_adapter" in command.replace("-", "_") and "kong.embedded" not in command
        return is_server and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _address(url: str) -> str:
    return url.partition("://")[2]

"""`make run`, as a newcomer meets it."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests

from kong.embedded.child import Child
from kong.embedded.demo import main
from tests.harness.gateway import wait_until
from tests.harness.stub import ROOT

FREE_PORTS = {"PROXY_PORT": "0", "PROXY_SSL_PORT": "0", "ADMIN_PORT": "0", "STUB_PORT": "0"}


def environment(**changes: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FUTURESMS_", "MAKE", "KONG_"))}
    return {**kept, **FREE_PORTS, "PYTHONUNBUFFERED": "1", **changes}


class Demo(Child):
    """A demo that serves."""

    def __init__(self, directory: Path, **changes: str) -> None:
        command = [sys.executable, "-m", "kong.embedded.demo"]
        changed = environment(**changes)
        super().__init__("demo", command, log=directory / "log", environment=changed, directory=ROOT)
        self.wait_for("^Ctrl-C stops everything", 60)
        self.family = psutil.Process(self.pid).children(recursive=True)

    def assert_nothing_is_left(self) -> None:
        wait_until(lambda: not any(map(_runs, self.family)), 20, f"the end of {self.family}")

    def examples(self) -> list[list[str]]:
        """The curl lines that it prints, each as a list of words."""
        lines = self.output().replace("\\\n", " ").splitlines()
        return [shlex.split(line) for line in lines if line.strip().startswith("curl ")]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    demos: list[Demo] = []

    def start(**changes: str) -> Demo:
        demos.append(Demo(tmp_path, **changes))
        return demos[-1]

    yield start
    for demo in demos:
        demo.stop(20)
        for process in demo.family:
            if _runs(process):
                process.kill()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One for all tests that only use it."""
    demo = Demo(tmp_path_factory.mktemp("demo"))
    yield demo
    assert demo.stop(20) == 0


def curl(words: list[str]) -> requests.Response:
    """What curl would do with these words."""
    [url] = [word for word in words if word.startswith("http")]
    options = list(itertools.pairwise(words))
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    body = [value for option, value in options if option == "-d"]
    return requests.request(
        "POST" if body else "GET", url, headers=headers, data=body[0] if body else None, timeout=30
    )


def test_its_curl_lines_do_what_it_says(demo):
    verify, send, orders, wrong, off = demo.examples()
    assert curl(verify).json() == {"data": {"status": "ok"}}
    order_id = curl(send).json()["data"]["id"]
    *_, order = curl(orders).json()
    assert order["order_id"] == order_id
    assert (order["phone_number"], order["var"]) == ("+639171234567", "Your table is ready")
    assert (order["sender_id"], order["template_id"]) == ("SID-1001", "TPL1001")
    assert order["client_order_id"]
    assert (curl(wrong).status_code, curl(wrong).json()["errors"][0]["code"]) == (401, "10004")
    assert (curl(off).status_code, curl(off).json()["errors"][0]["code"]) == (403, "10005")


def test_its_last_line_does_the_same_over_https(demo):
    [line] = [line for line in demo.output().splitlines() if "YEASTARCTL_KEY=" in line]
    ended = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    untrusted = re.sub(r" --ca \S+", "", line)
    ended = subprocess.run(untrusted, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "certificate" in ended.stdout + ended.stderr


def test_it_says_what_it_uses_instead_of_what_the_file_says(demo):
    said = demo.output()
    assert "http://futuresms:8080 → http://127.0.0.1:" in said
    assert "redis:6379 → 127.0.0.1:" in said
    assert "FUTURESMS_USERNAME" in said
    assert "stub-password" not in said


def test_its_first_line_is_not_about_what_is_right(demo):
    first = demo.output().strip().splitlines()[0]
    assert first.startswith("Serving kong.yml")


@pytest.mark.parametrize("name", ["tenants", "delivery-reports", "key-auth"])
def test_the_curl_lines_for_an_example_have_a_key_that_works(start, name):
    """Missing keys are made; those of Kong's key-auth stand in the file."""
    demo = start(KONG_YML=f"examples/{name}/kong.yml")
    verify, send, *_ = demo.examples()
    assert curl(verify).json() == {"data": {"status": "ok"}}
    assert curl(send).status_code == 200


def test_a_posted_configuration_keeps_the_addresses_of_the_demo(demo):
    _verify, send, orders, *_ = demo.examples()
    before = len(curl(orders).json())
    admin = re.search(r"Admin API (\S+)", demo.output())[1]
    posted = requests.post(
        f"{admin}/config",
        data=(ROOT / "kong.yml").read_bytes(),
        headers={"Content-Type": "application/yaml"},
        timeout=30,
    )
    assert posted.status_code == 201
    assert curl(send).status_code == 200
    assert len(curl(orders).json()) == before + 1


def test_a_changed_file_is_loaded_and_a_broken_one_is_not(start, tmp_path):
    path = tmp_path / "kong.yml"
    text = (ROOT / "kong.yml").read_text()
    path.write_text(text)
    demo = start(KONG_YML=str(path))
    verify, *_ = demo.examples()
    path.write_text(text.replace("second: 5", "second: five"))
    demo.wait_for("not loaded, the former configuration stays", 30)
    assert curl(verify).status_code == 200
    path.write_text(
        text.replace(
            "- username: acme-manila # the", "- enabled: false\n                  username: acme-manila # the"
        )
    )
    demo.wait_for("^make run: loaded", 30)
    wait_until(lambda: curl(verify).status_code == 403, 20, "the changed configuration")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_with_everything_that_it_started(start, number):
    demo = start()
    assert len(demo.family) >= 4, "stub, Redis, gateway and plugin server"
    demo.send(number)
    assert demo.wait(30) == 0
    demo.assert_nothing_is_left()
    assert "Traceback" not in demo.output()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's end")
def test_nothing_is_left_when_it_is_killed(start):
    with tempfile.TemporaryDirectory() as directory:  # nobody is there to remove the demo's own
        demo = start(TMPDIR=directory)
        os.kill(demo.pid, signal.SIGKILL)
        demo.assert_nothing_is_left()


def test_it_ends_when_a_part_of_it_ends(start):
    demo = start()
    [stub] = [process for process in demo.family if "upstream_stub" in process.cmdline()]
    stub.kill()
    assert demo.wait(30) == 1
    assert "upstream_stub ended" in demo.output()
    demo.assert_nothing_is_left()


Refused = Callable[..., str]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Refused]:
    """`refused(PROXY_PORT="…")`: the one line that a demo ends with that cannot start; in this process."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in signals]

    def refused(**changes: str) -> str:
        monkeypatch.setattr(os, "environ", environment(**changes))
        monkeypatch.chdir(ROOT)
        assert main([]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        [line] = said.err.splitlines()
        return line

    yield refused
    for number, handler in zip(signals, handlers, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("variable", ["PROXY_PORT", "PROXY_SSL_PORT", "ADMIN_PORT", "STUB_PORT"])
def test_a_taken_port_is_told_with_the_variable_that_changes_it(refused, variable):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = refused(**{variable: str(port)})
    assert f"port {port} " in told
    assert f"make run {variable}=" in told


def test_all_taken_ports_are_told_at_once():
    with socket.socket() as one, socket.socket() as other:
        for taken in (one, other):
            taken.bind(("127.0.0.1", 0))
            taken.listen()
        ports = [str(taken.getsockname()[1]) for taken in (one, other)]
        ended = subprocess.run(
            [sys.executable, "-m", "kong.embedded.demo"],
            cwd=ROOT,
            env=environment(PROXY_PORT=ports[0], STUB_PORT=ports[1]),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ended.returncode, ended.stdout) == (1, "")
    [told] = ended.stderr.splitlines()
    assert all(f"port {port} " in told for port in ports)
    assert "PROXY_PORT=" in told
    assert "STUB_PORT=" in told
    assert "ADMIN_PORT" not in told


def test_a_port_that_is_none_is_refused(refused):
    assert "PROXY_PORT" in refused(PROXY_PORT="eighty")


def test_a_missing_file_is_told(refused):
    assert "absent.yml" in refused(KONG_YML="absent.yml")


def broken(tmp_path: Path, before: str, after: str) -> str:
    text = (ROOT / "kong.yml").read_text()
    assert text.count(before) >= 1
    path = tmp_path / "broken.yml"
    path.write_text(text.replace(before, after, 1))
    return str(path)


def test_a_missing_variable_is_told_with_its_field(refused, tmp_path):
    told = refused(KONG_YML=broken(tmp_path, "sender_id: SID-1001", 'sender_id: "{vault://env/my-sender}"'))
    assert "MY_SENDER" in told
    assert "sender_id" in told


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("second: 5", "second: five", "second"),
        ("second: 5", "secnod: 5", "secnod"),
        ("paths:", "pathes:", "pathes"),
        ("name: yeastar-guard", "name: pre-fabricated", "pre-fabricated"),
        ("url: http://futuresms:8080", "url: [", "not YAML"),
    ],
)
def test_a_broken_file_is_told_with_the_field_and_the_file(refused, tmp_path, before, after, named):
    path = broken(tmp_path, before, after)
    told = refused(KONG_YML=path)
    assert named in told
    assert path in told


def test_a_file_of_deck_is_told_with_the_command_that_says_more(refused):
    told = refused(KONG_YML="examples/deck/kong.yml")
    assert "_info" in told
    assert "yeastarctl config check examples/deck/kong.yml" in told

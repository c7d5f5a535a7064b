"""A plugin server process whose handlers do what a test's configuration says.

`python -m tests.unit.plugin_server.scripted_plugin`. The configuration names a behaviour for each phase; `journal` is a
file that handlers leave their traces in. With `TEST_SIGNAL_AT=STEP:SIGNAL` in its environment the process signals
itself right before it carries out that step of all that it does to files and sockets of its prefix: a number, counted
from 1, or one of `STEPS`.
"""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    from kong_plugin_server.patching import patch_standard_library
    from kong_plugin_server.stderr import reserve_standard_descriptors

    reserve_standard_descriptors()
    patch_standard_library()

import hashlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import gevent
from kong_pdk.exception import PDKException
from kong_plugin_server import Limits, PluginSpec, serve

LAST_CALLS = frozenset({"kong.scripted.finish"})
ERROR_RESPONSE = (500, '{"errors": [{"code": "10007"}]}', {"Content-Type": "application/json"})
SCHEMA = [{"journal": {"type": "string"}}]


class Plugin:
    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        behaviour = config.get("constructor")
        if behaviour == "raises":
            raise ValueError(f"cannot work with {config.get('api_key')}")
        if behaviour == "waits":
            time.sleep(3600)
        if behaviour == "waits shortly":
            time.sleep(0.3)

    def access(self, kong: Any) -> None:
        getattr(self, self.config["access"].replace(" ", "_"))(kong)

    def response(self, kong: Any) -> None:
        getattr(self, self.config.get("response", self.config["access"]).replace(" ", "_"))(kong)

    def close(self) -> None:
        self.note("closed")

    def note(self, line: str) -> None:
        with Path(self.config["journal"]).open("a") as journal:
            journal.write(f"{line}\n")

    # Behaviours

    def scripted(self, kong: Any) -> None:
        """What Kong's transcripts were recorded with: the calls that the header X-Script lists for the phase."""
        script = json.loads(kong.request.get_header("x-script") or "{}")
        self.run_script(kong, script.get("access", []))

    def scripted_response(self, kong: Any) -> None:
        script = json.loads(kong.request.get_header("x-script") or "{}")
        self.run_script(kong, script.get("response", []))

    def run_script(self, kong: Any, calls: list[list[Any]]) -> None:
        for method, *arguments in calls:
            call = kong
            for name in method.split(".")[1:]:
                call = getattr(call, name)
            call(
                *(
                    argument["$bytes"].encode("latin-1")
                    if isinstance(argument, dict) and "$bytes" in argument
                    else argument
                    for argument in arguments
                )
            )

    def nothing(self, kong: Any) -> None:
        pass

    def exits_first(self, kong: Any) -> None:
        try:
            kong.response.exit(200, "done")
            self.note("ran on after exit")
        finally:
            self.note("unwound")

    def finishes(self, kong: Any) -> None:
        kong.scripted.finish("done")
        self.note("ran on after its last call")

    def errors_first(self, kong: Any) -> None:
        kong.response.error(403, "no")

    def raises_first(self, kong: Any) -> None:
        raise ValueError(f"a secret key: {self.config.get('api_key')}, Bearer abcdefgh1234567890")

    def raises_after_a_call(self, kong: Any) -> None:
        kong.request.get_header("x")
        raise ValueError("late")

    def exits_the_interpreter(self, kong: Any) -> None:
        sys.exit("no")

    def recurses(self, kong: Any) -> None:
        self.recurses(kong)

    def calls(self, kong: Any) -> None:
        try:
            kong.response.exit(200, kong.request.get_header("a"), {"b": kong.request.get_header("b")})
        finally:
            self.note("unwound")

    def reads_a_body(self, kong: Any) -> None:
        body = kong.request.get_raw_body(0)
        kong.response.exit(200, f"{type(body).__name__} of {len(body)}")

    def echoes(self, kong: Any) -> None:
        kong.response.exit(200, kong.request.get_header("a"))

    def echoes_a_large_body(self, kong: Any) -> None:
        kong.response.exit(200, kong.request.get_raw_body(0) * 40)

    def handles_an_error(self, kong: Any) -> None:
        try:
            kong.request.get_header("a")
        except PDKException as error:
            kong.response.exit(400, str(error))

    def passes_what_cannot_be_packed(self, kong: Any) -> None:
        kong.service.request.set_headers({"a": object()})

    def logs(self, kong: Any) -> None:
        kong.log("plain", 1, None, 2.5)
        kong.log.err("bad", True)
        kong.response.exit(200)

    def waits(self, kong: Any) -> None:
        try:
            time.sleep(3600)
        finally:
            self.note("unwound")

    def waits_for_a_socket(self, kong: Any) -> None:
        with socket.create_connection(tuple(self.config["address"])) as connection:
            connection.recv(1)
        kong.response.exit(200, "came back")

    def waits_shortly(self, kong: Any) -> None:
        time.sleep(self.config["seconds"])
        kong.response.exit(200, "slow")

    def reads_then_waits_shortly(self, kong: Any) -> None:
        kong.request.get_header("a")
        self.note("waiting")
        self.waits_shortly(kong)

    def waits_when_unwound(self, kong: Any) -> None:
        try:
            time.sleep(3600)
        finally:
            time.sleep(0.05)
            self.note("unwound")

    def gets_no_cpu_twice(self, kong: Any) -> None:
        """For longer than it may block; then all signals that were due arrive as one."""
        for _ in range(2):
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
            for _ in range(100):
                signal.raise_signal(signal.SIGALRM)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
        kong.response.exit(200)

    def spins(self, kong: Any) -> None:
        while True:
            pass

    def spins_where_no_signal_reaches(self, kong: Any) -> None:
        while True:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)

    def calls_from_another_greenlet(self, kong: Any) -> None:
        try:
            gevent.spawn(kong.request.get_header, "a").get()
        except PDKException as error:
            kong.response.exit(200, f"{type(error).__name__}: {error}")

    def gives_up_on_kong(self, kong: Any) -> None:
        with gevent.Timeout(0.05, False):
            kong.request.get_header("a")
        try:
            kong.request.get_header("b")
        except PDKException as error:
            self.note(type(error).__name__)
        self.note("waiting")
        time.sleep(0.5)
        kong.response.exit(200, "after all")

    def prints(self, kong: Any) -> None:
        for _ in range(200):
            print("x" * 4000)
            print("y" * 4000, file=sys.stderr)
        kong.response.exit(200, "printed")

    def counts(self, kong: Any) -> None:
        kong.response.exit(200, str(kong.request.get_header("a")))


STEPS = frozenset(
    {"os.chmod", "os.listdir", "os.remove", "os.rename", "os.scandir", "socket.bind", "socket.connect"}
)
"""Of Python's audit events, those of a server that takes a socket's path."""


def signal_itself(step: str, number: int, prefix: str) -> None:
    count = 0

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in STEPS and any(str(argument).startswith(prefix) for argument in arguments):
            count += 1
            if step in (event, str(count)):
                os.kill(os.getpid(), number)

    sys.addaudithook(audit)


def main() -> int:
    if "TEST_SIGNAL_AT" in os.environ:
        step, number = os.environ["TEST_SIGNAL_AT"].split(":")
        signal_itself(step, int(number), sys.argv[sys.argv.index("-p") + 1])
    spec = PluginSpec(Plugin, "scripted", "1.2.3", 1000, SCHEMA, ERROR_RESPONSE, last_calls=LAST_CALLS)
    limits = Limits(**json.loads(os.environ.get("TEST_LIMITS", "{}")))
    return serve(spec, limits=limits)


if __name__ == "__main__":
    sys.exit(main())

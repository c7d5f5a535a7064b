"""Record anew what a real Kong makes of scenarios of `odd-requests` or `bundled-plugins`, or of new ones among them.

`python -m tests.fidelity.record odd-requests 8000 8001 [NAME…]`; `docs/embedded-gateway.md` says how. A scenario is a
line of `data/….jsonl` with `scenario` and `request`; its answer, and what the service received, are written into it.
Without names those that have no answer yet are recorded.
"""

from __future__ import annotations

import argparse
import http.client
import json
import time
from typing import Any

from tests.fidelity import recording
from tests.fidelity.test_odd_requests import SCENARIOS, USUAL, send
from tests.fidelity.upstream import ANSWER_HEADERS, Upstream

# The ports that all recordings have.
_PROXY, _UPSTREAM = "18600", "18082"


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.fidelity.record", description=main.__doc__)
    parser.add_argument("recording", choices=SCENARIOS)
    parser.add_argument("proxy_port", type=int)
    parser.add_argument("admin_port", type=int)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="scenarios; default: those without an answer"
    )
    options = parser.parse_args()
    scenarios = SCENARIOS[options.recording]
    wanted = [
        one
        for one in scenarios
        if (one["scenario"] in options.names if options.names else "answer" not in one)
    ]
    with Upstream(b'{"ok":true}', ANSWER_HEADERS, slow_seconds=1.5) as upstream:
        ports = {str(upstream.port): _UPSTREAM, str(options.proxy_port): _PROXY}
        kong_yml = (recording.DATA / f"{options.recording}.kong.yml").read_text(encoding="utf-8")
        _load(options.admin_port, kong_yml.replace(_UPSTREAM, str(upstream.port)))
        for scenario in wanted:
            upstream.forget()
            answer = send(options.proxy_port, scenario["request"])
            received = [_told(request, ports) for request in upstream.forget()]
            scenario["answer"] = _at_recorded_ports(answer, ports)
            scenario.pop("upstream_received", None)
            if received:
                scenario["upstream_received"] = received
            print(f"{scenario['scenario']}: {answer.partition(chr(13))[0]}")
    with (recording.DATA / f"{options.recording}.jsonl").open("w", encoding="utf-8") as lines:
        for scenario in scenarios:
            lines.write(json.dumps(scenario, separators=(",", ":")) + "\n")


def _load(admin_port: int, kong_yml: str) -> None:
    admin = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=30)
    body = json.dumps({"config": kong_yml})
    admin.request("POST", "/config", body, {"Content-Type": "application/json"})
    loaded = admin.getresponse()
    if loaded.status != 201:
        raise SystemExit(loaded.read().decode())
    time.sleep(3)  # a real Kong puts it in force later


def _told(request: dict[str, Any], ports: dict[str, str]) -> dict[str, Any]:
    """What the service received, without what every request has."""
    headers = [(name, _at_recorded_ports(value, ports)) for name, value in request["headers"]]
    told = {"method": request["method"], "path": request["path"]}
    told["headers"] = [list(one) for one in headers if one not in USUAL and one[0] != "X-Kong-Request-Id"]
    return {**told, "body": request["body"]} if request["body"] else told


def _at_recorded_ports(text: str, ports: dict[str, str]) -> str:
    for port, recorded in ports.items():
        text = text.replace(port, recorded)
    return text


if __name__ == "__main__":
    main()

"""The runs, in the order in which they are carried out. Each raises AssertionError where it is not as promised."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from ruamel.yaml import YAML

from tests.harness.load import Load

from .engine import BASE_IMAGES, PROFILES, Project, until
from .table import Row, traffic

Run = Callable[[Project], list[Row]]
RUNS: dict[str, Run] = {}


def run(function: Run) -> Run:
    RUNS[function.__name__.replace("_", "-")] = function
    return function


def ready(project: Project, *services: str, **options: Any) -> float:
    """Have the services up; by default those that messages need."""
    if not (project.directory / "kong.yml").stat().st_mode & 0o004:
        project.make("up")
    return project.up(*(services or ("kong", "futuresms")), **options)


# --- image and compose file ------------------------------------------------------------------------------------------


@run
def build(project: Project) -> list[Row]:
    project.compose("build")
    engine = project.engine
    whole, base = engine.size(project.image), engine.size(BASE_IMAGES[0])
    return [Row("build", f"{whole:.1f} MB, {whole - base:.1f} MB above {BASE_IMAGES[0]}")]


@run
def config(project: Project) -> list[Row]:
    for profiles in ([], *([profile] for profile in PROFILES), list(PROFILES), ["*"]):
        flags = [word for profile in profiles for word in ("--profile", profile)]
        done = project.compose(*flags, "config", "--quiet")
        assert done.stdout + done.stderr == "", done.stdout + done.stderr
    return [Row("compose config, every profile", "nothing to say")]


@run
def clone(project: Project) -> list[Row]:
    """`make up` from a clone that only its owner can read, from nothing."""
    project.down()
    started = time.monotonic()
    project.make("up")
    seconds = time.monotonic() - started
    assert project.pbx().send().status == 200
    again = project.compose("up", "--wait", "--build")
    assert "Recreated" not in again.stderr, again.stderr
    return [Row("make up, a clone under umask 077", f"served after {seconds:.0f} s, the build cached")]


# --- the acceptance suite --------------------------------------------------------------------------------------------


def suite_options(project: Project) -> list[str]:
    names = {"PROXY_URL": "PROXY_PORT", "ADMIN_URL": "ADMIN_PORT", "STUB_URL": "STUB_PORT"}
    return [
        *(f"{option}={project.url(port)}" for option, port in names.items()),
        "REPORTS_URL=http://kong:8000",
    ]


def served(project: Project) -> str:
    """The configuration that the gateway serves, without the times at which it was loaded."""
    answer = requests.get(f"{project.url('ADMIN_PORT')}/config", timeout=30)
    configuration = YAML(typ="safe").load(answer.json()["config"])
    for entity in _entities(configuration):
        entity.pop("created_at", None)
        entity.pop("updated_at", None)
    return json.dumps(configuration, sort_keys=True)


def _entities(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _entities(inner)


@run
def e2e(project: Project) -> list[Row]:
    ready(project)
    before = served(project)
    done = project.make("e2e", *suite_options(project))
    assert served(project) == before
    [said] = re.findall(r"\d+ passed.* in \S+s", done.stdout)
    return [Row("make e2e", f"{said}; the configuration is back")]


@run
def e2e_interrupted(project: Project) -> list[Row]:
    ready(project)
    before = served(project)
    rows = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        child = _suite(project)
        until(lambda: served(project) != before, 60, "a configuration of the suite's own")
        os.killpg(child.pid, number)
        child.communicate(timeout=90)
        if number == signal.SIGKILL:
            assert served(project) != before
            ended = _suite(project, "-k", "test_so_many_and_no_more")
            ended.communicate(timeout=180)
        assert served(project) == before, f"after {number.name} the configuration is not what it was"
        rows.append(number.name)
    return [Row("make e2e, interrupted", f"{', '.join(rows)} (by the next run): the configuration is back")]


def _suite(project: Project, *options: str) -> subprocess.Popen[str]:
    urls = [option.lower().replace("_", "-") for option in suite_options(project)]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "tests/acceptance", *(f"--{url}" for url in urls), *options],
        cwd=project.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@run
def e2e_without_redis(project: Project) -> list[Row]:
    """Redis answers, and refuses everything: the suite must not be content."""
    ready(project)
    refuse = "ACL SETUSER default -@all +ping +acl"
    project.compose("exec", "-T", "redis", "redis-cli", *refuse.split())
    try:
        done = project.make("e2e", *suite_options(project), check=False)
    finally:
        project.compose("exec", "-T", "redis", "redis-cli", "ACL", "SETUSER", "default", "+@all")
    assert done.returncode, "the suite passes with a Redis that refuses everything"
    last = [line for line in done.stdout.splitlines() if "Redis" in line]
    assert last, done.stdout[-3000:]
    return [Row("make e2e, Redis refuses everything", "fails: " + last[-1].strip("E= ")[:150])]


# --- reload, restart, loss -------------------------------------------------------------------------------------------


@run
def reload(project: Project) -> list[Row]:
    ready(project)
    good, refused = Row("make reload"), Row("make reload, a file with errors")
    with traffic(good, project.pbx(), project.stub) as load:
        for number in range(3):
            project.edit("kong.yml", (r"tags: \[yeastar.*\]", f"tags: [yeastar, reload-{number}]"))
            said = project.make("reload").stdout
            assert "is active in every worker" in said, said
            assert f"reload-{number}" in served(project)
            load.wait_for(25)
    assert good.lost == 0, good
    whole = (project.directory / "kong.yml").read_text()
    with traffic(refused, project.pbx(), project.stub):
        project.edit("kong.yml", (r"second: \d+", "second: five"))
        done = project.make("reload", check=False)
        assert done.returncode
        assert "not reloaded" in done.stdout + done.stderr
        # Nor does `make up` end what runs.
        assert project.make("up", check=False).returncode
    project.write("kong.yml", whole)
    assert refused.lost == 0, refused
    return [good, refused]


@run
def restart(project: Project) -> list[Row]:
    """Each service in turn."""
    profiles = ["--profile", "*"]
    ready(project)
    project.compose(*profiles, "up", "--wait", "--wait-timeout", "240")
    rows = []
    for service in project.compose(*profiles, "config", "--services").stdout.split():
        if project.inspect(project.container(service))["State"]["Status"] != "running":
            continue  # a job
        if service == "kong-postgres":
            rows.append(_restart(project, service, "POSTGRES_PROXY_PORT"))
        else:
            rows.append(_restart(project, service))
        if service in ("database", "redis"):
            rows.append(_restart(project, service, "POSTGRES_PROXY_PORT"))
    return rows


def _restart(project: Project, service: str, port: str = "PROXY_PORT") -> Row:
    of = "kong-postgres" if port == "POSTGRES_PROXY_PORT" else "kong"
    row = Row(f"restart {service}" + (f", traffic at {of}" if service != of else ""))
    with traffic(row, project.pbx(port), project.stub, counted=service != "futuresms") as load:
        project.compose("--profile", "*", "restart", service)
        load.wait_for_status(200, 25)
    if service not in ("kong", "kong-postgres", "futuresms"):
        assert row.lost == 0, row
    return row


class Nodes:
    """A load balancer, as far as it sends each message to the next of those that are in it."""

    def __init__(self, *nodes: Any) -> None:
        self.nodes = list(nodes)
        self._turn = 0

    def send(self, **options: Any) -> Any:
        self._turn += 1
        return self.nodes[self._turn % len(self.nodes)].send(**options)


@run
def node_lost_and_found(project: Project) -> list[Row]:
    """Two nodes, one killed and started again."""
    ports = project.ports
    ready(project)
    both = {"PROXY_PORT": f"{ports['PROXY_PORT']}-{ports['SECOND_PORT']}"}
    both |= {"PROXY_SSL_PORT": "", "ADMIN_PORT": ""}
    project.compose("up", "--wait", "--scale", "kong=2", "kong", **both)
    project.stub.reset()
    rows = [
        Row("node lost and found: the one that stays"),
        Row("node lost and found: the one that is killed"),
    ]
    second = project.compose("port", "--index", "2", "kong", "8000").stdout.strip().rpartition(":")[2]
    names = [name for name in project.containers() if re.search(r"-kong-2$|_kong_2$", name)]
    stays = next(name for name in ("PROXY_PORT", "SECOND_PORT") if str(ports[name]) != second)
    killed = "SECOND_PORT" if stays == "PROXY_PORT" else "PROXY_PORT"
    with (
        traffic(rows[0], project.pbx(stays), project.stub, counted=False) as one,
        traffic(rows[1], project.pbx(killed), project.stub, counted=False) as other,
    ):
        project.engine.call("kill", *names)
        one.wait_for(50)
        project.engine.call("start", *names)
        other.wait_for_status(200, 25)
    together = Load(project.pbx(), project.stub, sent=[*one.sent, *other.sent])
    together.verdict()
    assert rows[0].lost == 0, rows[0]
    project.compose("up", "--wait", "--scale", "kong=1", "kong")
    return rows


@run
def futuresms_moves(project: Project) -> list[Row]:
    """FutureSMS gets another address: how long until it is found there?"""
    ready(project)
    rows = []
    for _ in range(2):
        row = Row("FutureSMS moves to another address")
        before = _address(project, project.container("futuresms"))
        with traffic(row, project.pbx(), project.stub, counted=False) as load:
            project.compose("rm", "--stop", "--force", "futuresms")
            with _taken(project, before):
                project.compose("up", "--wait", "futuresms")
                there = time.monotonic()
                load.wait_for_status(200, 25)
                seconds = time.monotonic() - there
            row.seen = f"served {seconds:.0f} s after it was healthy there"
            assert before != _address(project, project.container("futuresms"))
        rows.append(row)
    return rows


@contextmanager
def _taken(project: Project, address: str) -> Iterator[None]:
    """An address that had a service of the default network is somebody else's meanwhile."""
    engine, fillers = project.engine, []
    call = ["run", "--detach", "--rm", "--network", f"{project.name}_default", "--entrypoint", "sleep"]
    try:
        while not fillers or _address(project, fillers[-1]) != address:
            assert len(fillers) < 8, f"nobody is given {address}"
            fillers.append(engine.call(*call, project.image, "600").stdout.strip())
        yield
    finally:
        for filler in fillers:
            engine.call("rm", "--force", filler)


def _address(project: Project, container: str) -> str:
    networks = project.inspect(container)["NetworkSettings"]["Networks"]
    return str(networks[f"{project.name}_default"]["IPAddress"])


# --- taking it down --------------------------------------------------------------------------------------------------


@run
def down(project: Project) -> list[Row]:
    project.compose("--profile", "*", "up", "--wait", "--wait-timeout", "240")
    project.make("down")
    assert project.containers() == []
    return [Row("make down after every profile", "nothing is left running")]

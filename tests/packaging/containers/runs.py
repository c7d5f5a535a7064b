"""The runs, in the order in which they are carried out. Each raises AssertionError where it is not as promised."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from ruamel.yaml import YAML

from tests.harness.gateway import wait_until
from tests.harness.load import Load
from tests.harness.pbx import SENDMESSAGE, Pbx

from .engine import BASE_IMAGES, PROFILES, Done, NoEngine, Project, command, commit_file
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
    answer = project.pbx().send()
    assert answer.status == 200, answer
    metrics = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9542/metrics').read().decode())"
    python = "/opt/yeastar-adapter/bin/python"
    served = project.compose("exec", "-T", "kong", python, "-c", metrics)
    assert "yeastar_adapter_" in served.stdout, served.stderr
    again = project.compose("up", "--wait", "--build")
    # Podman 4 says a network's name where Compose looks for its id, and Compose makes all containers anew.
    assert project.engine.name == "podman" or "Recreated" not in again.stderr, again.stderr
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
        wait_until(lambda: served(project) != before, 60, "a configuration of the suite's own")
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
    try:
        with traffic(refused, project.pbx(), project.stub):
            project.edit("kong.yml", (r"second: \d+", "second: five"))
            done = project.make("reload", check=False)
            assert done.returncode
            assert "not reloaded" in done.stdout + done.stderr
            # Nor does `make up` end what runs.
            assert project.make("up", check=False).returncode
    finally:
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


@run
def database_away(project: Project) -> list[Row]:
    """Kong's database is away for longer than anything is cached, and comes back: it is stopped, then it hangs."""
    ready(project, "kong-postgres", "futuresms", profile="postgres")
    return [_database_away(project, "stop", "start"), _database_away(project, "pause", "unpause")]


def _database_away(project: Project, leave: str, come_back: str) -> Row:
    row = Row(f"database away for 30 s ({leave}), traffic at kong-postgres")
    database = project.container("database")
    with traffic(row, project.pbx("POSTGRES_PROXY_PORT"), project.stub) as load:
        project.engine.call(leave, database)
        try:
            away = time.monotonic()
            while time.monotonic() < away + 30:
                load.wait_for(10)
        finally:
            project.engine.call(come_back, database)
        load.wait_for(100)
    assert row.lost == 0, row
    row.seen = f"the slowest answer took {load.slowest:.1f} s"
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
    ready(project)
    project.stub.reset()
    rows = [
        Row("node lost and found: the one that stays"),
        Row("node lost and found: the one that is killed"),
    ]
    with (
        node(project) as (killed, name),
        traffic(rows[0], project.pbx(), project.stub, counted=False) as one,
        traffic(rows[1], killed, project.stub, counted=False) as other,
    ):
        project.engine.call("kill", name)
        one.wait_for(50)
        project.engine.call("start", name)
        other.wait_for_status(200, 25)
    together = Load(project.pbx(), project.stub, sent=[*one.sent, *other.sent])
    together.verdict()
    assert rows[0].lost == 0, rows[0]
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
        # Docker gives the lowest address that is free, Podman the next one.
        while len(fillers) < 4 and address not in [_address(project, filler) for filler in fillers]:
            fillers.append(engine.call(*call, project.image, "600").stdout.strip())
        yield
    finally:
        for filler in fillers:
            engine.call("rm", "--force", filler)


def _address(project: Project, container: str) -> str:
    networks = project.inspect(container)["NetworkSettings"]["Networks"]
    return str(networks[f"{project.name}_default"]["IPAddress"])


# --- upgrade ---------------------------------------------------------------------------------------------------------

RELEASE_0_1 = "e3f261efa77ddc3268de60a3f95191bd83150983"


@contextmanager
def release_0_1(project: Project) -> Iterator[Project]:
    """The project as it was in 0.1, running. Raises NoEngine where that commit is not at hand, or did not run."""
    if project.engine.name == "podman":
        raise NoEngine("0.1 does not start on Podman: its prefix is below /run")
    old = Project(project.engine, RELEASE_0_1, of=project)
    try:
        old.compose("build")
        project.down()
        old.up("kong", "futuresms")
        yield old
    finally:
        project.down()
        old.remove()


@run
def upgrade(project: Project) -> list[Row]:
    """One node of 0.1, replaced by this release under traffic."""
    row = Row("upgrade from 0.1, one node")
    with (
        release_0_1(project),
        traffic(row, project.pbx(), project.stub) as load,
    ):
        ready(project, "kong")
        load.wait_for_status(200, 25)
    return [row]


@run
def upgrade_of_two_nodes(project: Project) -> list[Row]:
    """Two nodes of 0.1, one after the other, each taken out of the load balancer meanwhile."""
    row = Row("upgrade from 0.1, two nodes, one after the other")
    with release_0_1(project) as old:
        nodes = Nodes(project.pbx())
        with traffic(row, nodes, project.stub) as load:
            with node(old) as (second, _):
                nodes.nodes = [project.pbx(), second]
                load.wait_for(50)
                nodes.nodes = [project.pbx()]
                load.wait_for(10)
            with node(project) as (second, _):
                nodes.nodes = [project.pbx(), second]  # both releases, one Redis
                load.wait_for(50)
                nodes.nodes = [second]
                load.wait_for(10)
                ready(project, "kong")
                nodes.nodes = [project.pbx(), second]
                load.wait_for(50)
                nodes.nodes = [project.pbx()]
                load.wait_for(10)
    assert row.lost == 0, row
    return [row]


@run
def versions(project: Project) -> list[Row]:
    """Reader, adapter and guard of different releases, with the check of the configuration switched off."""
    ready(project)
    rows = []
    lua = project.directory / "kong" / "plugins"
    for name in ("yeastar-reader", "yeastar-guard"):
        other = project.directory / f"other-{name}"
        shutil.copytree(lua, other / "kong" / "plugins", dirs_exist_ok=True)
        handler = other / "kong" / "plugins" / name / "handler.lua"
        handler.write_text(
            re.sub(r"^local INTERFACE = .*", "local INTERFACE = 99", handler.read_text(), flags=re.M)
        )
        command(["chmod", "-R", "a+rX", other])
        mounted = ["--volume", f"{other}:/opt/yeastar-adapter/lua:ro"]
        rows.append(_refuses_all(project, f"{name} of another interface", *mounted))
    try:
        (project.directory / "of-0.1").mkdir(exist_ok=True)
        project.write("of-0.1/kong.yml", commit_file(RELEASE_0_1, "kong.yml"))
        refused = project.make("up", "KONG_DIRECTORY=of-0.1", check=False, KONG_DIRECTORY="of-0.1")
        assert refused.returncode, refused.stdout
        rows.append(
            _refuses_all(project, "kong.yml of 0.1, its Lua in it", "--env", f"{FILE}of-0.1/kong.yml")
        )
    except NoEngine as problem:
        rows.append(Row("kong.yml of 0.1", f"skipped: {problem}"))
    return rows


FILE = "KONG_DECLARATIVE_CONFIG=/etc/kong/configuration/"


def _refuses_all(project: Project, what: str, *options: str) -> Row:
    row = Row(what)
    with node(project, "--env", "CONFIG_CHECK=off", *options) as (pbx, _):
        project.stub.reset()
        answers = [pbx.send().code for _ in range(20)]
        assert answers == ["10007"] * 20, answers
        assert project.stub.orders() == []
    row.seen = "all refused: 20 × 500, and nothing reaches FutureSMS"
    row.sent = 20
    return row


@contextmanager
def node(project: Project, *options: str) -> Iterator[tuple[Pbx, str]]:
    """One more node of the service `kong`, at SECOND_PORT, and its container's name."""
    name = f"{project.name}-node"
    call = [
        "run",
        "--detach",
        "--no-deps",
        "--name",
        name,
        "--publish",
        f"{project.ports['SECOND_PORT']}:8000",
    ]
    project.compose(*call, *options, "kong")
    try:
        wait_until(
            lambda: project.inspect(name)["State"]["Health"]["Status"] == "healthy", 90, "a healthy node"
        )
        yield project.pbx("SECOND_PORT"), name
    finally:
        project.engine.call("stop", "--time", "20", name)
        project.engine.call("rm", "--force", "--volumes", name)


# --- a database ------------------------------------------------------------------------------------------------------


@run
def load_once(project: Project) -> list[Row]:
    """A first configuration that is wrong, unknown or interrupted: all of it in the end, nothing before."""
    project.down()
    ready(project)
    project.compose("--profile", "postgres", "up", "--wait", "kong-admin")
    project.compose("--profile", "postgres", "up", "--wait", "--no-deps", "kong-postgres")
    project.stub.reset()
    good = (project.directory / "kong.yml").read_text()
    (project.directory / "loads").mkdir(mode=0o755, exist_ok=True)
    many = "consumers:\n" + "".join(f"  - username: pbx-{number}\n" for number in range(2000))
    project.write("loads/wrong.yml", good.replace("second: 500", "second: five"))
    project.write("loads/unknown.yml", good + "\nnonsense:\n  - name: this\n")
    project.write("loads/long.yml", good.replace("consumers:\n", many, 1))

    rows = []
    for name, what in (("wrong", "a wrong value"), ("unknown", "an unknown collection")):
        done = _load(project, f"loads/{name}.yml", check=False)
        assert done.returncode, f"{what} is loaded"
        assert not _nothing_but(project, 404)
        rows.append(Row(f"load_once, {what}", "nothing is there: " + _line(done.stderr, "is not loaded")))

    name = f"{project.name}-load"
    project.compose(*_load_call("loads/long.yml", "--detach", "--name", name))
    try:
        wait_until(lambda: len(_entities_of(project, "consumers")) > 100, 90, "a load half done")
        project.engine.call("kill", name)
    finally:
        project.engine.call("rm", "--force", name)
    half = len(_entities_of(project, "consumers"))
    assert 100 < half < 2002, half
    assert not _nothing_but(project, 404)

    done = _load(project, "kong.yml")
    assert "is loaded anew" in done.stdout, done.stdout
    wait_until(lambda: _send(project).status == 200, 60, "a message through the database's Kong")
    usernames = {consumer["username"] for consumer in _entities_of(project, "consumers")}
    assert usernames == {"acme-manila", "globex-cebu"}
    rows.append(
        Row("load_once, killed in the middle", f"{half} consumers, no route; then mended, and loaded anew")
    )

    again = _load(project, "kong.yml")
    assert "has a configuration already" in again.stdout, again.stdout
    row = Row("load_once, loaded")
    with traffic(row, project.pbx("POSTGRES_PROXY_PORT"), project.stub) as load:
        load.wait_for(100)
    assert row.lost == 0, row
    return [*rows, row]


def _line(text: str, words: str) -> str:
    """The one line that has these words, cut short."""
    [line] = [line for line in text.splitlines() if words in line]
    return line.strip()[:160]


def _load(project: Project, file: str, *, check: bool = True) -> Done:
    """To its end. Without `--rm`, with which Compose ends with 0 on Podman, whatever the container did."""
    name = f"{project.name}-load"
    try:
        return project.compose(*_load_call(file, "--name", name), check=check)
    finally:
        project.engine.call("rm", "--force", name)


def _load_call(file: str, *options: str) -> list[str]:
    program = ["/opt/yeastar-adapter/bin/python", "/opt/yeastar-adapter/load_once.py"]
    call = ["--profile", "postgres", "run", *options, "--no-deps", "database-configuration"]
    return [*call, *program, f"/etc/kong/configuration/{file}", "http://kong-admin:8001"]


def _entities_of(project: Project, collection: str) -> list[dict[str, Any]]:
    found, following = [], f"/{collection}?size=1000"
    while following:
        page = requests.get(project.url("POSTGRES_ADMIN_PORT") + following, timeout=30).json()
        found += page["data"]
        following = page.get("next")
    return found


def _send(project: Project) -> Any:
    pbx = project.pbx("POSTGRES_PROXY_PORT")
    message = b'{"from": "+63280000001", "to": "+639171234567", "text": "hello"}'
    headers = {"Authorization": f"Bearer {pbx.key}", "Content-Type": "application/json"}
    return pbx.request("POST", SENDMESSAGE, body=message, headers=headers, checked=False)


def _nothing_but(project: Project, status: int) -> list[int]:
    """What else is answered to messages while nothing may be served; orders that were made all the same."""
    answers = [_send(project).status for _ in range(20)]
    return [answer for answer in answers if answer != status] + [200] * len(project.stub.orders())


# --- variables and secrets -------------------------------------------------------------------------------------------


@run
def variables(project: Project) -> list[Row]:
    """What is missing is said before anything starts; a `$` stays one."""
    ready(project)
    running = project.inspect(project.container("kong"))["State"]["StartedAt"]
    env = (project.directory / ".env").read_text()
    secret = project.directory / "secrets" / "futuresms-password"
    rows = []

    def refused(what: str, said: str) -> None:
        done = project.make("up", check=False)
        assert done.returncode, f"{what}: it starts"
        lines = [line for line in (done.stdout + done.stderr).splitlines() if re.search(said, line)]
        assert len(lines) == 1, lines
        assert project.inspect(project.container("kong"))["State"]["StartedAt"] == running
        rows.append(Row(what, lines[0].strip()[:160]))

    try:
        project.write(".env", env.replace("FUTURESMS_PASSWORD=stub-password\n", ""))
        refused("a missing variable", "FUTURESMS_PASSWORD is not set:")
        secret.write_text("stub-password")
        secret.chmod(0)
        refused("a secret that cannot be read", r"secret \S+ cannot be read")
        secret.unlink()
        project.write(".env", env.replace("=stub-password", "=pa${word"))
        refused("a value that Compose cannot read", r"secrets/futuresms-password becomes FUTURESMS_PASSWORD")

        password = "pa$$word ${HOME} $x '\"`#\\n"

        def accepted() -> None:
            project.make("up")
            # After it, as Compose makes the stub anew on Podman.
            project.stub.merchant("yeastar-gateway", password=password)
            answer = project.pbx().send()
            assert answer.status == 200, answer

        project.write(".env", env.replace("=stub-password", f"={password}"))
        accepted()
        rows.append(Row("a password with $, quotes, blank and #", "in .env: as written"))
        project.write(".env", env.replace("FUTURESMS_PASSWORD=stub-password\n", ""))
        secret.write_text(password + "\n")
        secret.chmod(0o644)
        accepted()
        doctor = project.compose("exec", "-T", "kong", "yeastarctl", "doctor", "--no-futuresms")
        assert "not set" not in doctor.stdout, doctor.stdout
        rows[-1].seen += "; as a file in secrets/: as written, and yeastarctl doctor sees it"
    finally:
        secret.unlink(missing_ok=True)
        project.write(".env", env)
        project.stub.reset()
        project.make("up")
    return rows


@run
def tenants(project: Project) -> list[Row]:
    """An example with variables of its own: a line for what is missing, then it serves."""
    ready(project)
    env = (project.directory / ".env").read_text()
    command(["chmod", "-R", "a+rX", project.directory / "examples"])
    directory = {"KONG_DIRECTORY": "./examples/tenants"}
    refused = project.make("up", check=False, **directory)
    assert refused.returncode
    missing = set(re.findall(r"variable (\S+) is not set", refused.stdout + refused.stderr))
    assert "ACME_MANILA_KEY" in missing, refused.stdout
    try:
        key = "ystr_of_acme_manila_0123456789abcdef"
        of_customers = {
            **{
                f"{name}_FUTURESMS_USERNAME": f"user-{name.lower()}" for name in ("ACME", "GLOBEX", "INITECH")
            },
            **{
                f"{name}_FUTURESMS_PASSWORD": f"password-{name.lower()}"
                for name in ("ACME", "GLOBEX", "INITECH")
            },
            **{
                f"{name}_KEY": f"key-of-{name}-0123456789"
                for name in ("ACME_DAVAO", "ACME_DAVAO_KEY_NEXT", "GLOBEX_CEBU")
            },
            "INITECH_CLARK_KEY": "key-of-initech-0123456789",
            "ACME_DAVAO_KEY_NEXT": "next-key-of-davao-0123456789",
            "ACME_MANILA_KEY": key,
        }
        project.write(".env", env + "".join(f"{name}={value}\n" for name, value in of_customers.items()))
        project.make("up", **directory)
        project.stub.merchant("user-acme", password="password-acme")
        answer = project.pbx(key=key).send()
        assert answer.status == 200, answer
    finally:
        project.write(".env", env)
        project.make("up")
    return [
        Row("examples/tenants", f"its {len(missing)} variables missing: each is named; with them: served")
    ]


# --- taking it down --------------------------------------------------------------------------------------------------


@run
def down(project: Project) -> list[Row]:
    project.compose("--profile", "*", "up", "--wait", "--wait-timeout", "240")
    project.make("down")
    assert project.containers() == []
    return [Row("make down after every profile", "nothing is left running")]

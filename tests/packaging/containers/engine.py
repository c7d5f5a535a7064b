"""A container engine, and the project of docker-compose.yml on it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.harness.pbx import Pbx
from tests.harness.stub import StubClient

ROOT = Path(__file__).resolve().parents[3]
PROFILES = ("observability", "postgres")
BASE_IMAGES = ("kong:3.9", "python:3.12-slim", "redis:7.2-alpine")


class NoEngine(Exception):
    """There is none, or not the images; the message says which."""


Done = subprocess.CompletedProcess[str]


class Engine:
    """`docker` or `podman`, by the command line and the socket of the environment. Raises NoEngine."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.environment = dict(os.environ)
        # The same commands for both: Docker's client speaks to Podman's socket, and Podman's own is its equal.
        self.client = "docker" if shutil.which("docker") else name
        if shutil.which(self.client) is None:
            raise NoEngine(f"no {name} on PATH")
        if name == "podman":
            self.environment["DOCKER_HOST"] = os.environ.get("DOCKER_HOST") or _socket_of_podman()
            # Podman's API has no BuildKit.
            self.environment["DOCKER_BUILDKIT"] = "0"
        answer = self.call("version", "--format", "{{.Server.Version}}", check=False)
        if answer.returncode:
            raise NoEngine(f"no {name} answers: {_last_line(answer.stderr)}")
        self.version = answer.stdout.strip()
        compose = self.call("compose", "version", "--short", check=False)
        if compose.returncode:
            raise NoEngine(f"{self.client} has no compose: {_last_line(compose.stderr)}")
        self.compose_version = compose.stdout.strip()

    def need(self, *images: str) -> None:
        """Have the images here, from a registry if need be. Raises NoEngine."""
        for image in images:
            if self.call("image", "inspect", image, check=False).returncode == 0:
                continue
            if (pulled := self.call("pull", "--quiet", image, check=False)).returncode:
                raise NoEngine(f"the image {image} cannot be had: {_last_line(pulled.stderr)}")

    def call(
        self, *arguments: str | Path, check: bool = True, environment: Mapping[str, str] | None = None
    ) -> Done:
        return command([self.client, *arguments], check=check, environment=environment or self.environment)

    def size(self, image: str) -> float:
        """Megabytes (10⁶ bytes)."""
        return int(self.call("image", "inspect", "-f", "{{.Size}}", image).stdout) / 1e6


class Project:
    """docker-compose.yml in a copy of the checkout, with a name, tags and ports that nobody else has."""

    def __init__(self, engine: Engine, revision: str | None = None, of: Project | None = None) -> None:
        """`revision`: that commit instead of the checkout as it lies here; `of`: a project to be, in another version.

        Raises NoEngine where the commit is not in this clone.
        """
        self.engine = engine
        self.directory = Path(tempfile.mkdtemp(prefix="containers-"))
        if revision is None:
            _copy_checkout(self.directory)
        else:
            _copy_commit(revision, self.directory)
        base = int(os.environ.get("CONTAINERS_PORTS", "28000" if engine.name == "docker" else "28100"))
        self.ports = {
            "PROXY_PORT": base,
            "SECOND_PORT": base + 1,
            "PROXY_SSL_PORT": base + 2,
            "ADMIN_PORT": base + 4,
        }
        others = (
            "STUB",
            "PROMETHEUS",
            "GRAFANA",
            "ALERTMANAGER",
            "POSTGRES_PROXY",
            "POSTGRES_PROXY_SSL",
            "POSTGRES_ADMIN",
        )
        self.ports |= {f"{name}_PORT": base + 6 + number for number, name in enumerate(others)}
        self.name = of.name if of else "yeastar-containers"
        self.environment = {
            **engine.environment,
            "COMPOSE_PROJECT_NAME": self.name,
            "IMAGE_TAG": f"runs-{revision[:7] if revision else 'new'}",
            **{name: str(port) for name, port in self.ports.items()},
        }
        # The limits let all of the traffic pass.
        self.edit("kong.yml", (r"second: \d+", "second: 500"), (r"minute: \d+", "minute: 30000"))
        if revision is None:
            (self.directory / "kong.yml").chmod(0o600)
        podman = self.directory / "docker-compose.podman.yml"
        if engine.name == "podman" and podman.exists():
            self.environment["COMPOSE_FILE"] = f"{self.directory}/docker-compose.yml:{podman}"
        env = (self.directory / ".env.example").read_text()
        self.write(".env", env.replace("POSTGRES_PASSWORD=\n", "POSTGRES_PASSWORD=made-for-these-runs\n"))

    @property
    def image(self) -> str:
        return f"kong-yeastar-adapter:{self.environment['IMAGE_TAG']}"

    def url(self, port: str = "PROXY_PORT") -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    def pbx(self, port: str = "PROXY_PORT", **options: Any) -> Pbx:
        return Pbx(self.url(port), timeout=30, **options)

    @property
    def stub(self) -> StubClient:
        return StubClient(self.url("STUB_PORT"))

    def write(self, name: str, text: str) -> Path:
        """Write a file as editors do: a new one in the old one's place."""
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        new = path.with_name(path.name + ".new")
        new.write_text(text)
        new.replace(path)
        return path

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        """Replace regular expressions in a file, each of which must be found."""
        text = (self.directory / name).read_text()
        for pattern, by in changes:
            text, count = re.subn(pattern, by, text, flags=re.MULTILINE)
            assert count, f"{name} has no {pattern}"
        self.write(name, text)

    def compose(self, *arguments: str | Path, check: bool = True, **variables: str) -> Done:
        call = [self.engine.client, "compose", "--project-directory", self.directory]
        return command([*call, *arguments], check=check, environment={**self.environment, **variables})

    def make(self, target: str, *arguments: str, check: bool = True, **variables: str) -> Done:
        """`make` in the copy, with the Python that runs this."""
        call = ["make", "-C", self.directory, "-o", f"{sys.prefix}/.ready", target, f"VENV={sys.prefix}"]
        call += [f"COMPOSE={self.engine.client} compose", *arguments]
        return command(call, check=check, environment={**self.environment, **variables})

    def up(self, *services: str, profile: str | None = None, **variables: str) -> float:
        """Have these services healthy. Returns the seconds that it took."""
        started = time.monotonic()
        profiles = ["--profile", profile] if profile else []
        self.compose(*profiles, "up", "--wait", "--wait-timeout", "180", *services, **variables)
        return time.monotonic() - started

    def down(self) -> None:
        """With everything that it has kept."""
        self.compose(
            "--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "20", check=False
        )

    def log(self, service: str) -> str:
        done = self.compose("logs", "--no-color", "--no-log-prefix", service)
        return done.stdout + done.stderr

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service).stdout.split()[0]

    def containers(self) -> list[str]:
        """Names of all that there are, whatever their state."""
        label = f"label=com.docker.compose.project={self.name}"
        return self.engine.call("ps", "--all", "--filter", label, "--format", "{{.Names}}").stdout.split()

    def inspect(self, container: str) -> dict[str, Any]:
        [found] = json.loads(self.engine.call("inspect", container).stdout)
        return dict(found)

    def remove(self) -> None:
        """Everything: containers, volumes, images, the copy."""
        self.down()
        for image in (self.image, self.image.replace("adapter:", "adapter-stub:")):
            self.engine.call("image", "rm", "--force", image, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


def command(
    call: list[str | Path],
    *,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
    seconds: float = 1200,
) -> Done:
    """Run it. Raises AssertionError with its last words where it fails and `check` is set."""
    done = subprocess.run(
        call, capture_output=True, text=True, timeout=seconds, env=environment, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise AssertionError(f"{' '.join(map(str, call))} → {done.returncode}\n{said}")
    return done


def _socket_of_podman() -> str:
    said = command(["podman", "info", "--format", "{{.Host.RemoteSocket.Path}}"], check=False)
    if said.returncode:
        raise NoEngine(f"no podman answers: {_last_line(said.stderr)}")
    path = said.stdout.strip()
    return path if "://" in path else f"unix://{path}"


def _copy_checkout(to: Path) -> None:
    """What git knows or would add, as it lies here, readable by nobody else: a clone under umask 077."""
    listed = command(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, to / name
        if not source.is_file():
            continue
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(source, target)
        target.chmod(source.stat().st_mode & 0o700)
    for path in to.rglob("*"):
        if path.is_dir():
            path.chmod(0o700)


def _copy_commit(revision: str, to: Path) -> None:
    _need_commit(revision)
    archive = subprocess.run(["git", "-C", ROOT, "archive", revision], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", to], input=archive, check=True)
    to.chmod(0o755)


def commit_file(revision: str, name: str) -> str:
    """A file as that commit has it. Raises NoEngine where the commit is not in this clone."""
    _need_commit(revision)
    return command(["git", "-C", ROOT, "show", f"{revision}:{name}"]).stdout


def _need_commit(revision: str) -> None:
    if command(["git", "-C", ROOT, "cat-file", "-e", f"{revision}^{{commit}}"], check=False).returncode:
        raise NoEngine(f"commit {revision[:7]} is not in this clone: git fetch --unshallow")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "nothing was said"

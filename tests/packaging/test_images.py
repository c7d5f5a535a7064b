"""The Dockerfiles, as far as they can be judged without building them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging import dockerfile

ROOT = dockerfile.ROOT
KONG = ROOT / "kong/Dockerfile"
STUB = ROOT / "upstream_stub/Dockerfile"
BOTH = pytest.mark.parametrize("path", [KONG, STUB], ids=["kong", "stub"])


@BOTH
def test_the_linter_has_nothing_to_say(path: Path) -> None:
    linter = Path(sys.executable).parent / "hadolint"
    said = subprocess.run([linter, path], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@BOTH
def test_everything_that_is_copied_exists_and_is_not_left_out_of_the_build(path: Path) -> None:
    for stage in dockerfile.read(path):
        for origin, sources, _ in stage.copies():
            for source in sources if origin is None else ():
                assert (ROOT / source).exists(), f"COPY {source}"
                assert _in_context(source), f".dockerignore leaves out {source}"


@pytest.mark.parametrize("name", [".env", ".git/config", ".venv/bin/python", "tests/conftest.py", "run/x"])
def test_secrets_and_leftovers_stay_out_of_the_build(name: str) -> None:
    assert not _in_context(name)


def test_the_environment_is_made_by_the_python_that_runs_it() -> None:
    builder, final = dockerfile.read(KONG)
    assert builder.base == final.base == "kong:3.9"
    assert "/opt/yeastar-adapter" in " ".join(run.text for run in builder.all("RUN"))
    assert ("builder", ["/opt/yeastar-adapter"], "/opt/yeastar-adapter") in final.copies()


def test_the_last_word_is_the_user_kong_who_has_no_compiler_and_no_pip() -> None:
    final = dockerfile.read(KONG)[-1]
    assert final.last("USER").text == "kong"
    installed = {word for run in final.all("RUN") for word in _packages(run.text)}
    assert installed == {"python3", "ca-certificates"}


def test_kong_finds_the_plugin_server_where_it_looks_by_default() -> None:
    final = dockerfile.read(KONG)[-1]
    assert re.search(r"ln -s (\S+ )*/opt/yeastar-adapter/bin/yeastar-adapter .*/usr/local/bin/", _runs(final))
    assert ("builder", ["/build/kong.conf"], "/etc/kong/kong.conf") in final.copies()
    assert final.last("CMD").words == ["kong", "docker-start"]
    assert final.last("HEALTHCHECK").text.endswith('CMD ["/opt/yeastar-adapter/ready.py"]')


def test_the_entry_point_is_copied_where_it_is_called_and_may_be_executed() -> None:
    final = dockerfile.read(KONG)[-1]
    [script] = final.last("ENTRYPOINT").words
    copies = dockerfile.read(KONG)[0].copies()
    copied = {f"{to}{Path(source).name}": source for _, sources, to in copies for source in sources}
    assert os.access(ROOT / copied[script], os.X_OK)


def test_only_wheels_whose_hash_is_known_are_installed() -> None:
    for stage in (*dockerfile.read(KONG), *dockerfile.read(STUB)):
        for command in re.findall(r"pip\b[^&|;]*\binstall [^&|;]*", _runs(stage)):
            assert "--require-hashes" in command or "--no-index" in command, command
            assert "--only-binary :all:" in command or "--no-index" in command, command


def _runs(stage: dockerfile.Stage) -> str:
    return " && ".join(run.text for run in stage.all("RUN"))


def _packages(command: str) -> list[str]:
    found = re.findall(r"apt-get install ([^&|;]*)", command)
    return [word for words in found for word in words.split() if not word.startswith("-")]


def _in_context(name: str) -> bool:
    """Whether .dockerignore lets a path into the build: the last pattern that fits it, or one above it, decides."""
    inside = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keeps = pattern.startswith("!")
        pattern = pattern.lstrip("!")
        paths = [Path(name), *Path(name).parents]
        if any(path.match(pattern.removeprefix("**/")) for path in paths if str(path) != "."):
            inside = keeps
    return inside

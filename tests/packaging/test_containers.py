"""The image and the compose file on a container engine: `make containers`, or `python -m pytest -m containers`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.packaging.containers import RUNS
from tests.packaging.containers.engine import BASE_IMAGES, Engine, NoEngine, Project

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module", params=["docker", "podman"])
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    try:
        engine = Engine(request.param)
        engine.need(*BASE_IMAGES)
    except NoEngine as problem:
        pytest.skip(str(problem))
    project = Project(engine)
    try:
        project.compose("build")
        yield project
    finally:
        project.remove()


@pytest.mark.parametrize("name", RUNS)
def test_it_runs(project: Project, name: str) -> None:
    try:
        rows = RUNS[name](project)
    except NoEngine as problem:
        pytest.skip(str(problem))
    assert rows

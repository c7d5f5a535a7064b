"""What `pip install` gets. That the commands work once installed is tried by `make dist`."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def check_dist() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_dist", ROOT / "scripts/check_dist.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(check_dist: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    wheel, sdist = check_dist.build(tmp_path_factory.mktemp("dist"))
    return wheel, sdist


def test_the_wheel_holds_the_plugin_and_nothing_else(
    check_dist: ModuleType, built: tuple[Path, Path]
) -> None:
    check_dist.check_wheel(built[0])


def test_the_sdist_holds_what_builds_the_wheel(check_dist: ModuleType, built: tuple[Path, Path]) -> None:
    check_dist.check_sdist(built[1])


def test_a_file_too_many_and_a_file_too_few_are_noticed(
    check_dist: ModuleType, built: tuple[Path, Path], tmp_path: Path
) -> None:
    more, less = tmp_path / "more.whl", tmp_path / "less.whl"
    with zipfile.ZipFile(built[0]) as wheel:
        names = wheel.namelist()
        with zipfile.ZipFile(more, "w") as archive:
            for name in names:
                archive.writestr(name, wheel.read(name))
            archive.writestr("upstream_stub/world.py", "")
        with zipfile.ZipFile(less, "w") as archive:
            for name in names:
                if not name.endswith(".lua"):
                    archive.writestr(name, wheel.read(name))
    with pytest.raises(check_dist.DistributionError, match=r"upstream_stub/world\.py"):
        check_dist.check_wheel(more)
    with pytest.raises(check_dist.DistributionError, match="lacks"):
        check_dist.check_wheel(less)


def test_the_version_stands_in_one_place(check_dist: ModuleType) -> None:
    import yeastar_adapter

    assert check_dist.version() == yeastar_adapter.__version__
    assert f'"{check_dist.version()}"' not in (ROOT / "pyproject.toml").read_text()

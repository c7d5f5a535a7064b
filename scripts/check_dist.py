"""Builds wheel and sdist into dist/ and tries the wheel in a fresh virtual environment.

    python scripts/check_dist.py [--no-install]

Exits with 1 and says what is wrong: a file too many or too few, a version that differs, a command that fails.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = ROOT / "plugins"
PACKAGE = PLUGINS / "yeastar_adapter"
INSTALLED = re.compile(
    r"((yeastar_adapter|kong_plugin_server|kong_declarative|yeastarctl)/|kong_yeastar_adapter-[^/]+\.dist-info/)"
)
SDIST = (
    "plugins/",
    "kong/plugins/",
    "kong-plugin-yeastar-adapter-",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "pyproject.toml",
    "PKG-INFO",
    ".gitignore",
)


class DistributionError(Exception):
    """Something is wrong with what was built."""


def build(directory: Path) -> tuple[Path, Path]:
    """Build with the backend of pyproject.toml; the wheel and the sdist."""
    _run(sys.executable, "-m", "hatchling", "build", "-d", str(directory), cwd=ROOT)
    (wheel,), (sdist,) = directory.glob("*.whl"), directory.glob("*.tar.gz")
    return wheel, sdist


def version() -> str:
    """The one place where the version stands."""
    found = re.search(r'^__version__ = "(.+)"$', (PACKAGE / "__init__.py").read_text(), re.MULTILINE)
    if found is None:
        raise DistributionError("plugins/yeastar_adapter/__init__.py has no __version__")
    return found[1]


def check_wheel(wheel: Path) -> None:
    """The plugin whole, and nothing but the plugin."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    strange = sorted(name for name in names if not INSTALLED.match(name))
    if strange:
        raise DistributionError(f"the wheel holds more than the plugin: {_some(strange)}")
    expected = {
        path.relative_to(PLUGINS).as_posix()
        for path in PLUGINS.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    missing = sorted(expected - names)
    if missing:
        raise DistributionError(f"the wheel lacks {_some(missing)}")
    if "yeastar_adapter/py.typed" not in names:
        raise DistributionError("the wheel lacks py.typed")
    if f"\nVersion: {version()}\n" not in text:
        raise DistributionError(f"the wheel's metadata has another version than {version()}")
    if not any(name.endswith("LICENSE") for name in names):
        raise DistributionError("the wheel lacks the licence")


def check_sdist(sdist: Path) -> None:
    """What is needed to build the wheel again, and no more."""
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    strange = sorted(name for name in names if name and not name.startswith(SDIST))
    if strange:
        raise DistributionError(f"the sdist holds more than it should: {_some(strange)}")


def check_installed(wheel: Path) -> None:
    """The commands, in a virtual environment that has the wheel and what it asks for."""
    with tempfile.TemporaryDirectory() as directory:
        venv.create(directory, with_pip=True)
        bin_ = Path(directory) / "bin"
        _run(bin_ / "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
        _run(bin_ / "pip", "check", "--disable-pip-version-check")
        for command in ("yeastar-adapter", "yeastarctl"):
            said = _run(bin_ / command, "--version")
            if version() not in said:
                raise DistributionError(f"{command} --version says {said.strip()!r}, not {version()}")
        _check_dump(_run(bin_ / "yeastar-adapter", "-dump"))
        if "Usage: yeastarctl" not in _run(bin_ / "yeastarctl", "--help"):
            raise DistributionError("yeastarctl --help shows no usage")
        json.loads(_run(bin_ / "yeastarctl", "key", "new", "--consumer", "acme", "--json"))
        _run(bin_ / "yeastarctl", "config", "check", "--no-environment", str(ROOT / "kong.yml"))
        _run(bin_ / "python", "-c", "import yeastar_adapter.plugin")


def _check_dump(text: str) -> None:
    (described,) = json.loads(text) if text.lstrip().startswith("[") else [json.loads(text)]
    if described["Name"] != "yeastar-adapter" or described["Version"] != version():
        raise DistributionError(f"-dump describes {described['Name']} {described['Version']}")


def _run(*command: str | Path, cwd: str | Path | None = None) -> str:
    # Outside of the checkout, and without its paths: the wheel has to stand by itself.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_"))
    }
    done = subprocess.run(  # noqa: S603
        [str(part) for part in command],
        cwd=cwd or tempfile.gettempdir(),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DistributionError(
            f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--no-install", action="store_true", help="look into the files only")
    install = not parser.parse_args().no_install
    dist = ROOT / "dist"
    for old in [*dist.glob("*.whl"), *dist.glob("*.tar.gz")]:
        old.unlink()
    try:
        wheel, sdist = build(dist)
        check_wheel(wheel)
        check_sdist(sdist)
        if install:
            check_installed(wheel)
    except DistributionError as error:
        print(f"dist: {error}", file=sys.stderr)
        return 1
    print(f"{wheel.relative_to(ROOT)} and {sdist.relative_to(ROOT)} are good")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The packages of the embedded gateway: imports go one way, and nothing goes round in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# From the top to the bottom; a module of none of them stands above or below them all, and is looked at for circles.
FLOORS = ("runloop", "plugins", "pdk", "http")


def _modules() -> dict[str, Path]:
    found = {}
    for path in (ROOT / "kong/embedded").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = path
    return found


def _imports(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in modules else str(node.module)


def _graph() -> dict[str, set[str]]:
    """What each module imports of the others, for type checks too."""
    modules = _modules()
    return {name: set(_imports(path, modules)) - {name} for name, path in modules.items()}


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead.extend(graph[name])
    return reached


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = _graph()
    assert len(graph) > 40
    assert [name for name in graph if name in _reached(graph, name)] == []


def test_no_package_imports_one_above_it() -> None:
    def floor(name: str) -> int | None:
        package = name.removeprefix("kong.embedded.").partition(".")[0]
        return FLOORS.index(package) if package in FLOORS else None

    upwards = [
        (name, imported)
        for name, imports in _graph().items()
        for imported in imports
        if (here := floor(name)) is not None
        if (there := floor(imported)) is not None and there < here
    ]
    assert upwards == []


def test_the_admin_api_knows_the_configuration_alone() -> None:
    admin = {
        name: imports for name, imports in _graph().items() if name.startswith("kong.embedded.admin_api")
    }
    assert admin
    assert all(found.startswith("kong.embedded.admin_api") for imports in admin.values() for found in imports)


def test_every_package_says_which_part_of_kong_it_stands_for() -> None:
    for package in (*FLOORS, "admin_api"):
        text = (ROOT / "kong/embedded" / package / "__init__.py").read_text(encoding="utf-8")
        assert "tands for" in (ast.get_docstring(ast.parse(text)) or ""), package

"""docs/plugin-server.md: its plugin runs, and its tables say what the code does."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import sys
from pathlib import Path

import kong_plugin_server
import pytest
import requests
from kong_plugin_server import Limits, PluginSpec
from kong_plugin_server.command_line import parse
from kong_plugin_server.instances import PHASES

from kong.embedded.child import Child

from .kong import ROOT

PAGE = (ROOT / "docs/plugin-server.md").read_text()
PLUGIN = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]

KONG_YML = {
    "_format_version": "3.0",
    "services": [
        {
            "name": "nowhere",
            "url": "http://127.0.0.1:9",
            "routes": [{"name": "hello", "paths": ["/"]}],
            "plugins": [{"name": "hello", "config": {"greeting": "Good morning"}}],
        }
    ],
}


def column(heading: str) -> list[list[str]]:
    """The cells of the table that follows a text, without its head."""
    rows = PAGE[PAGE.index(heading) :].partition("\n\n|")[2].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def test_the_plugin_of_the_manual_answers_a_request(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(PLUGIN)
    (tmp_path / "kong.yml").write_text(json.dumps(KONG_YML))
    plugin = shlex.join([sys.executable, str(tmp_path / "hello.py")])
    gateway = Child(
        "the embedded gateway",
        [
            *(sys.executable, "-m", "kong.embedded", "--kong-yml", tmp_path / "kong.yml", "--prefix", prefix),
            *("--proxy-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"),
            *("--plugin-command", f"hello={plugin}"),
        ],
        log=tmp_path / "log",
        directory=ROOT,
    )
    try:
        url = gateway.wait_for(r"^kong\.embedded ready proxy=(\S+)", 60)[1]
        answer = requests.get(url, headers={"Host": "example.org"}, timeout=20)
        assert (answer.status_code, answer.text) == (200, "Good morning, example.org!")
    finally:
        assert gateway.stop() == 0


def test_the_plugin_of_the_manual_has_twelve_lines_and_is_the_packages_own_example() -> None:
    shebang, *code = [line for line in PLUGIN.splitlines() if line.strip()]
    assert len([shebang, *code]) == 12
    shown = [
        line.removeprefix("    ") for line in (kong_plugin_server.__doc__ or "").splitlines() if line.strip()
    ]
    assert shown[1:-1] == code


def test_the_table_of_limits_is_that_of_the_code() -> None:
    said = {name.strip("`"): float(default) for name, default, _ in column("**Limits.**")}
    assert said == dataclasses.asdict(Limits())


def test_the_table_of_a_plugins_fields_is_that_of_the_code() -> None:
    said = [name for row in column("`PluginSpec(plugin") for name in re.findall(r"`(\w+)`", row[0])]
    assert said == [field.name for field in dataclasses.fields(PluginSpec)]
    assert all(f"`{phase}`" in PAGE for phase in PHASES)


def test_the_table_of_options_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    said = {option for row in column("`hello` takes these") for option in re.findall(r"`(--?[\w-]+)", row[0])}
    with pytest.raises(SystemExit):
        parse("hello", "1.0.0", ["--help"])
    offered = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", capsys.readouterr().out.partition("options:")[2]))
    # kong-pdk's spellings of the same.
    assert said == offered - {"-h", "--help", "-kong-prefix", "-version"}


def test_what_is_not_patched_is_not_served(tmp_path: Path) -> None:
    without = PLUGIN.replace("monkey.patch_all()\n", "")
    (tmp_path / "hello.py").write_text(without)
    server = Child("hello", [sys.executable, tmp_path / "hello.py", "-p", tmp_path], log=tmp_path / "log")
    assert server.wait(20) == 1
    assert (
        server.output()
        .splitlines()[-1]
        .startswith("RuntimeError: gevent.monkey.patch_all() has to be called")
    )

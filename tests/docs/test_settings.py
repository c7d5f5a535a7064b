"""The examples of docs/settings.md: read from the page as a reader copies them, and checked by Kong's schema."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from kong_declarative.plugin_catalogue import PluginDefinition
from ruamel.yaml import YAML
from yeastar_adapter.schema import SCHEMA

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/settings.md").read_text()
TABS = ("kong.yml", "Admin API", "decK", "Kubernetes")
SECTIONS = re.findall(r"^## (.+?)\n(.*?)(?=^## |^<!-- end)", PAGE, re.MULTILINE | re.DOTALL)

sys.path.insert(0, str(ROOT / "scripts"))
import reference  # noqa: E402
import setting_examples  # noqa: E402


def tab(section: str, name: str) -> str:
    [block] = re.findall(
        rf'^=== "{re.escape(name)}"\n\n    ```\w+\n(.*?)^    ```$', section, re.MULTILINE | re.DOTALL
    )
    return textwrap.dedent(block)


def config(section: str, name: str) -> dict[str, Any]:
    """What a tab sets, below `config`."""
    code = tab(section, name)
    if name == "Admin API":
        whole = re.search(r"--data '(.*)'\n", code)
        if whole:
            return dict(json.loads(whole[1])["config"])
        [(consumer, entry)] = re.findall(r'\.username == "(.*?)" then \. \* (.*?) else', code)
        return {"consumers": [{"username": consumer, **json.loads(entry)}]}
    document = YAML(typ="safe").load(code)
    if name == "kong.yml":
        [document] = document
    elif name == "decK":
        [document] = document["plugins"]
    assert document.get("name", document.get("plugin")) == "yeastar-adapter"
    return dict(document["config"])


@pytest.fixture(scope="module")
def plugin() -> PluginDefinition:
    command = [sys.executable, "-m", "yeastar_adapter", "-dump"]
    return PluginDefinition.from_dump(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.mark.parametrize("name", TABS)
@pytest.mark.parametrize(("title", "section"), SECTIONS, ids=[title for title, _ in SECTIONS])
def test_kong_takes_it(title: str, section: str, name: str, plugin: PluginDefinition) -> None:
    said = config(section, name)
    complete = plugin.config_schema.complete(said)
    assert plugin.config_schema.validate(complete) == {}
    assert said == config(section, "kong.yml")


def test_what_kong_would_refuse_is_noticed(plugin: PluginDefinition) -> None:
    complete = plugin.config_schema.complete({"recipient_check": "perhaps", "no_such_setting": 1})
    assert set(plugin.config_schema.validate(complete)) == {"recipient_check", "no_such_setting"}


def test_every_setting_has_an_example() -> None:
    shown = {
        path for example in setting_examples.EXAMPLES for path in setting_examples.paths(example.fragment)
    }
    assert {path for path, _ in reference.paths(SCHEMA)} <= shown


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq runs the filters of the Admin API's examples")
@pytest.mark.parametrize(("title", "section"), SECTIONS, ids=[title for title, _ in SECTIONS])
def test_a_consumer_is_changed_where_it_is_and_the_others_stay(title: str, section: str) -> None:
    filters = re.findall(r"jq '(\{config.*?)' \|", tab(section, "Admin API"), re.DOTALL)
    [entry] = config(section, "kong.yml").get("consumers", [None])
    assert len(filters) == (entry is not None)
    other = {"username": "globex-cebu", "enabled": True}
    before = {"config": {"consumers": [{"username": "acme-manila", "sender_id": "SID-9"}, other]}}
    for jq in filters:
        done = subprocess.run(
            ["jq", jq], input=json.dumps(before), capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout) == {"config": {"consumers": [{"sender_id": "SID-9"} | entry, other]}}

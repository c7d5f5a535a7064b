"""Plugins in Lua do in the embedded gateway what they did in a real Kong: `lua_scenarios`, replayed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fidelity import recording
from tests.fidelity.lua_scenarios import (
    ANSWER,
    ANSWER_HEADERS,
    LUA,
    RECORDING,
    SCENARIOS,
    configuration,
    play,
)
from tests.fidelity.recording import ReplayGateway, comparable_answer, comparable_request
from tests.fidelity.upstream import Upstream

RECORDED = {line["scenario"]: line for line in recording.read(RECORDING)}


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    def replay() -> dict[str, Any]:
        settings = {
            "plugins": "bundled,hello,early,late,yeastar-adapter",
            "lua_package_path": f"{LUA}/?.lua;;",
        }
        with (
            Upstream(ANSWER, ANSWER_HEADERS, 1.0) as upstream,
            ReplayGateway(
                tmp_path_factory.mktemp("lua"),
                json.dumps(configuration(upstream.port)),
                "scripted_plugin",
                settings=settings,
            ) as gateway,
        ):
            return {"ports": [gateway.port, upstream.port], "outcomes": play(gateway.port, upstream)}

    found: dict[str, Any] = recording.once(tmp_path_factory, "lua-plugins", replay)
    return found


def test_every_scenario_is_recorded() -> None:
    assert list(RECORDED) == list(SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_plugin_does_what_it_did_in_kong(name: str, replayed: dict[str, Any]) -> None:
    recorded, outcome = RECORDED[name], replayed["outcomes"][name]
    ports, then = (
        dict(zip(map(str, of["ports"]), ("<proxy>", "<upstream>"), strict=True))
        for of in (replayed, recorded)
    )
    assert comparable_answer(outcome["answer"], ports) == comparable_answer(recorded["answer"], then)
    assert comparable_request(outcome["upstream"], ports) == comparable_request(recorded["upstream"], then)

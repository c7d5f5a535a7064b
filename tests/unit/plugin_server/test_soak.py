"""The short form of `python -m bench.soak`: what is left of requests that are refused or cut off anywhere."""

from __future__ import annotations

import json

import pytest

from bench import processes, traffic
from bench.load import start_instance
from bench.processes import OURS, plugin_server
from bench.soak import complaint, soak


def test_nothing_is_left_of_requests_that_are_refused_or_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOAK_LIMITS", json.dumps({"step_timeout": 0.5, "closed_connection_timeout": 0.2}))
    with processes.stub() as merchant, plugin_server(OURS, ("bench.impatient_server",)) as server:
        instance = start_instance(server.path, OURS, traffic.configuration(merchant))
        footprints = soak(server, instance, 3000, settle=20, say=print)
    assert complaint(footprints) is None

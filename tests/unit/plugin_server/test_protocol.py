"""Kong's messages and what it gets for them, as kong-pdk's server answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import PluginProcess, eventually
from .rpc_client import RpcError, asked

Serve = Callable[..., PluginProcess]

RECORDINGS = Path(__file__).parents[2] / "fidelity" / "data" / "pdk-transcripts.jsonl"
CONVERSATIONS = [json.loads(line) for line in RECORDINGS.read_text().splitlines()]


@pytest.fixture
def server(shared_server: PluginProcess) -> PluginProcess:
    return shared_server


def test_a_handler_gets_kongs_answers_and_its_exit_is_the_last_message(server: PluginProcess) -> None:
    worker, instance = server.start("calls")
    first = worker.begin(instance)
    assert asked(first) == ("kong.request.get_header", ["a"])
    second = worker.step(first, "A")
    assert asked(second) == ("kong.request.get_header", ["b"])
    assert second["EventId"] == first["EventId"]
    last = worker.step(second, "B")
    assert asked(last) == ("kong.response.exit", [200, "A", {"b": "B"}])
    with pytest.raises(RpcError, match="not found"):
        worker.step(last)


def test_a_handler_that_returns_ends_its_event_with_ret(server: PluginProcess) -> None:
    worker, instance = server.start("nothing")
    assert worker.begin(instance)["Data"] == "ret"


def test_an_answer_without_data_is_none(server: PluginProcess) -> None:
    worker, instance = server.start("counts")
    assert asked(worker.step(worker.begin(instance)))[1] == [200, "None"]


@pytest.mark.parametrize(
    "kind", ["", "MultiMap", "Consumer", "Credential", "Route", "Service", "Plugin", "MemoryStats"]
)
def test_a_step_of_any_kind_brings_its_value(server: PluginProcess, kind: str) -> None:
    worker, instance = server.start("echoes")
    value = {"id": "1", "tags": ["a"], "empty": {}}
    answer = worker.step(worker.begin(instance), value, f"plugin.Step{kind}")
    assert asked(answer) == ("kong.response.exit", [200, value])


def test_a_raw_body_arrives_as_bytes(server: PluginProcess) -> None:
    worker, instance = server.start("reads a body")
    assert asked(worker.step(worker.begin(instance), b"\xff\x00{"))[1][1] == "bytes of 3"


def test_a_header_that_is_not_utf8_goes_through_the_handler_unchanged(server: PluginProcess) -> None:
    worker, instance = server.start("echoes")
    answer = worker.step(worker.begin(instance), "Bearer \udcff\udc80")
    assert asked(answer)[1] == [200, "Bearer \udcff\udc80"]


def test_a_pdk_error_is_raised_as_the_exception_of_kong_pdk(server: PluginProcess) -> None:
    worker, instance = server.start("handles an error")
    answer = worker.step(worker.begin(instance), "no such thing", "plugin.StepError")
    method, (status, text) = asked(answer)
    assert (method, status) == ("kong.response.exit", 400)
    assert "no such thing" in text


def test_kong_log_gets_text_for_what_it_has_no_type_for(server: PluginProcess) -> None:
    worker, instance = server.start("logs")
    first = worker.begin(instance)
    assert asked(first) == ("kong.log", ["plain", 1, "None", "2.5"])
    assert asked(worker.step(first)) == ("kong.log.err", ["bad", "True"])


def test_steps_of_one_event_may_come_on_different_connections(server: PluginProcess) -> None:
    worker, instance = server.start("calls")
    first = worker.begin(instance)
    second = server.worker().step(first, "A")
    last = server.worker().step(second, "B")
    assert asked(last)[1] == [200, "A", {"b": "B"}]


def test_events_run_beside_each_other_and_keep_their_values_apart(server: PluginProcess) -> None:
    _, instance = server.start("calls")
    workers = [server.worker() for _ in range(50)]
    answers = [each.begin(instance) for each in workers]
    answers = [
        each.step(answer, f"A{n}") for n, (each, answer) in enumerate(zip(workers, answers, strict=True))
    ]
    last = [each.step(answer, f"B{n}") for n, (each, answer) in enumerate(zip(workers, answers, strict=True))]
    assert [asked(answer)[1] for answer in last] == [[200, f"A{n}", {"b": f"B{n}"}] for n in range(50)]


def test_an_unknown_instance_is_an_error_that_makes_kong_start_it_again(server: PluginProcess) -> None:
    worker = server.worker()
    for method, argument in (
        ("plugin.HandleEvent", {"InstanceId": 7, "EventName": "access"}),
        ("plugin.CloseInstance", 7),
        ("plugin.InstanceStatus", 7),
    ):
        with pytest.raises(RpcError, match=r"^no plugin instance"):
            worker.call(method, argument)


def test_a_closed_instance_is_unknown_and_the_plugin_was_closed(server: PluginProcess) -> None:
    worker, instance = server.start("nothing")
    assert worker.call("plugin.CloseInstance", instance)["Id"] == instance
    server.wait_for_note("closed")
    with pytest.raises(RpcError, match=r"^no plugin instance"):
        worker.begin(instance)


def test_an_instance_is_closed_only_when_its_last_event_is_over(server: PluginProcess) -> None:
    worker, instance = server.start("calls")
    first = worker.begin(instance)
    worker.call("plugin.CloseInstance", instance)
    last = worker.step(worker.step(first, "A"), "B")
    assert asked(last)[1] == [200, "A", {"b": "B"}]
    server.wait_for_note("closed")
    assert server.notes() == ["unwound", "closed"]


def test_a_configuration_with_another_sequence_number_is_another_instance(server: PluginProcess) -> None:
    worker, old = server.start("echoes", __seq__=1)
    new = worker.start({"access": "nothing", "__seq__": 2})
    assert new != old
    assert worker.begin(old)["Data"] != "ret"
    assert worker.begin(new)["Data"] == "ret"


def test_status_names_the_instances(server: PluginProcess) -> None:
    worker, instance = server.start("nothing", key="k")
    status = worker.call("plugin.InstanceStatus", instance)
    assert (status["Name"], status["Id"], status["Config"]["key"]) == ("scripted", instance, "k")
    whole = worker.call("plugin.GetStatus")
    assert whole["Pid"] == server.process.pid
    assert [each["Id"] for each in whole["Plugins"]["scripted"]["Instances"]] == [instance]


def test_plugin_info_is_what_the_dump_says(server: PluginProcess) -> None:
    info = server.worker().call("plugin.GetPluginInfo", "scripted")
    assert info["Name"] == "scripted"
    assert info["Phases"] == ["access", "response"]
    assert info["Priority"] == 1000
    assert info["Version"] == "1.2.3"
    assert info["Schema"]["fields"][0]["config"]["type"] == "record"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("plugin.Nothing", []),
        ("other.Step", [{}]),
        ("", []),
        ("plugin.Step", []),
        ("plugin.Step", [{}]),
        ("plugin.Step", ["x"]),
        ("plugin.Step", [{"EventId": []}]),
        ("plugin.HandleEvent", [{"InstanceId": {}, "EventName": "access"}]),
        ("plugin.HandleEvent", [{}]),
        ("plugin.StartInstance", [{"Name": "scripted", "Config": "{"}]),
        ("plugin.StartInstance", [{"Name": "other", "Config": "{}"}]),
        ("plugin.GetPluginInfo", ["other"]),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_with_an_error(
    server: PluginProcess, method: str, arguments: list[Any]
) -> None:
    worker = server.worker()
    with pytest.raises(RpcError):
        worker.call(method, *arguments)
    assert worker.call("plugin.GetStatus")["Pid"] == server.process.pid


def test_a_phase_that_the_plugin_does_not_have_is_an_error(server: PluginProcess) -> None:
    worker, instance = server.start("nothing")
    with pytest.raises(RpcError, match="preread"):
        worker.begin(instance, "preread")


def test_ids_do_not_come_again_after_a_restart(serve: Serve, launch: Any) -> None:
    server = serve()
    worker, instance = server.start("calls")
    event = worker.begin(instance)["EventId"]
    server.process.kill()
    server.process.wait()
    new = launch()
    new.wait_for_log("serves at")
    again, other = new.start("calls")
    assert other != instance
    assert again.begin(other)["EventId"] != event
    assert max(instance, other, event) < 2**53


def test_ids_are_numbers_that_lua_keeps_exactly(server: PluginProcess) -> None:
    worker, instance = server.start("calls")
    first = worker.call("plugin.HandleEvent", {"InstanceId": float(instance), "EventName": "access"})
    assert float(first["EventId"]) == first["EventId"]
    second = worker.step({"EventId": float(first["EventId"])}, "A")
    assert second["EventId"] == first["EventId"]


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda each: each["scenario"])
def test_kongs_recorded_conversations_go_the_same_way(
    server: PluginProcess, conversation: dict[str, Any]
) -> None:
    """Every message that Kong 3.9.1 sent, answered as when it was recorded but for the ids."""
    worker, instance = server.start("scripted", response="scripted response")
    events: dict[int, Any] = {}
    messages = [
        entry["message"] for entry in conversation["rpc"] if "StartInstance" not in str(entry["message"])
    ]
    messages = [message for message in messages if not (message[0] == 1 and "StartTime" in str(message[3]))]
    for request, expected in zip(messages[::2], messages[1::2], strict=True):
        method, (argument,) = request[2], _unmarked(request[3])
        if method == "plugin.HandleEvent":
            argument["InstanceId"] = instance
        else:
            argument["EventId"] = events[argument["EventId"]]
        answer = worker.call(method, argument)
        recorded = _unmarked(expected[3])
        events[recorded["EventId"]] = answer["EventId"]
        assert answer["Data"] == recorded["Data"]


def _unmarked(value: Any) -> Any:
    """Recorded binary strings are written {"$bin": latin-1}."""
    if isinstance(value, dict):
        if value.keys() == {"$bin"}:
            return value["$bin"].encode("latin-1")
        return {name: _unmarked(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_unmarked(each) for each in value]
    return value


def test_no_event_stays_open_when_kong_has_its_last_answer(serve: Serve) -> None:
    server = serve()
    worker, instance = server.start("calls")
    for _ in range(20):
        worker.step(worker.step(worker.begin(instance), "A"), "B")
    server.process.terminate()
    eventually(lambda: server.process.poll() is not None)
    assert "stopping: 0 events open" in server.log

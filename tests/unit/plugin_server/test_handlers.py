"""Whatever a handler does, Kong gets an answer, and nothing of the event is left."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

from .conftest import PluginProcess, eventually
from .rpc_client import PATIENCE, RpcError, asked
from .scripted_plugin import ERROR_RESPONSE

Serve = Callable[..., PluginProcess]


def assert_error_response(answer: object) -> None:
    assert asked(answer) == ("kong.response.exit", list(ERROR_RESPONSE))


@pytest.fixture
def server(shared_server: PluginProcess) -> PluginProcess:
    return shared_server


@pytest.mark.parametrize(
    "behaviour", ["raises first", "recurses", "exits the interpreter", "passes what cannot be packed"]
)
def test_a_handler_that_raises_is_answered_for(server: PluginProcess, behaviour: str) -> None:
    worker, instance = server.start(behaviour)
    assert_error_response(worker.begin(instance))
    assert_error_response(worker.begin(instance))
    other, nothing = server.start("nothing")
    assert other.begin(nothing)["Data"] == "ret"


def test_a_handler_that_raises_after_a_call_is_answered_for_and_closed(server: PluginProcess) -> None:
    worker, instance = server.start("raises after a call")
    last = worker.step(worker.begin(instance), "x")
    assert_error_response(last)
    with pytest.raises(RpcError, match="not found"):
        worker.step(last)


def test_the_traceback_is_logged_and_no_secret(serve: Serve) -> None:
    server = serve()
    worker, instance = server.start("raises first", api_key="ystr_secret_key_0123456789")
    worker.begin(instance)
    server.wait_for_log("ValueError: a secret key")
    assert "in raises_first" in server.log
    assert "ystr_secret_key_0123456789" not in server.log
    assert "abcdefgh1234567890" not in server.log


def test_a_handler_that_fails_each_time_does_not_flood_the_log(serve: Serve) -> None:
    server = serve()
    worker, instance = server.start("raises first")
    for _ in range(500):
        assert_error_response(worker.begin(instance))
    eventually(lambda: server.log.count("handler failed") == 500)
    assert 0 < server.log.count("Traceback") < 500


def test_exit_as_the_first_call_ends_handler_and_event(server: PluginProcess) -> None:
    worker, instance = server.start("exits first")
    last = worker.begin(instance)
    assert asked(last) == ("kong.response.exit", [200, "done"])
    server.wait_for_note("unwound")
    assert server.notes() == ["unwound"]
    with pytest.raises(RpcError, match="not found"):
        worker.step(last)


def test_a_last_call_of_the_plugins_own_ends_the_event_as_exit_does(server: PluginProcess) -> None:
    worker, instance = server.start("finishes")
    last = worker.begin(instance)
    assert asked(last) == ("kong.scripted.finish", ["done"])
    with pytest.raises(RpcError, match="not found"):
        worker.step(last)
    assert "ran on after" not in server.notes()


def test_error_ends_the_event_as_exit_does(server: PluginProcess) -> None:
    worker, instance = server.start("errors first")
    last = worker.begin(instance)
    assert asked(last) == ("kong.response.error", [403, "no"])
    with pytest.raises(RpcError, match="not found"):
        worker.step(last)


@pytest.mark.parametrize("behaviour", ["raises", "waits"])
def test_an_instance_that_cannot_be_made_answers_every_event(serve: Serve, behaviour: str) -> None:
    server = serve(handler_timeout=0.3)
    worker, instance = server.start("nothing", constructor=behaviour, api_key="ystr_secret_key_0123456789")
    assert_error_response(worker.begin(instance))
    assert_error_response(worker.begin(instance, "response"))
    assert worker.begin(instance, "log")["Data"] == "ret"
    assert server.log.count("could not be started") == 1
    assert "ystr_secret_key_0123456789" not in server.log
    worker.call("plugin.CloseInstance", instance)


def test_a_plugin_that_is_slow_to_start_holds_up_nobody(server: PluginProcess) -> None:
    other, nothing = server.start("nothing")
    worker = server.worker()
    worker.send(
        "plugin.StartInstance",
        {"Name": "scripted", "Config": '{"access": "nothing", "constructor": "waits shortly"}'},
    )
    assert other.begin(nothing)["Data"] == "ret"
    with pytest.raises(TimeoutError):
        worker.receive(0.01)


def test_a_handler_that_waits_holds_up_nobody(server: PluginProcess) -> None:
    with _Listener() as elsewhere:
        worker, instance = server.start("waits for a socket", address=elsewhere.address)
        waiting = worker.send("plugin.HandleEvent", {"InstanceId": instance, "EventName": "access"})
        other, nothing = server.start("calls")
        for _ in range(100):
            assert other.step(other.step(other.begin(nothing), "A"), "B")
        elsewhere.release.set()
        assert asked(worker.answer_to(waiting)) == ("kong.response.exit", [200, "came back"])


def test_a_handler_that_never_returns_is_ended_and_answered_for(serve: Serve) -> None:
    server = serve(handler_timeout=0.3)
    worker, instance = server.start("waits")
    assert_error_response(worker.begin(instance))
    server.wait_for_note("unwound")


def test_a_handler_that_waits_while_it_is_unwound_is_let_to(serve: Serve) -> None:
    server = serve(handler_timeout=0.3)
    worker, instance = server.start("waits when unwound")
    assert_error_response(worker.begin(instance))
    server.wait_for_note("unwound")


def test_an_event_that_kong_abandons_is_unwound(serve: Serve) -> None:
    server = serve(step_timeout=0.3)
    worker, instance = server.start("calls")
    first = worker.begin(instance)
    server.wait_for_note("unwound")
    with pytest.raises(RpcError, match="not found"):
        worker.step(first)


def test_an_abandoned_event_is_unwound_sooner_when_its_connection_is_closed(serve: Serve) -> None:
    server = serve(step_timeout=3600, closed_connection_timeout=0.1)
    worker, instance = server.start("calls")
    worker.begin(instance)
    worker.close()
    server.wait_for_note("unwound")


def test_a_step_on_another_connection_still_comes_through_after_the_first_was_closed(serve: Serve) -> None:
    server = serve()
    worker, instance = server.start("calls")
    first = worker.begin(instance)
    worker.close()
    second = server.worker().step(first, "A")
    assert asked(second) == ("kong.request.get_header", ["b"])


def test_a_handler_whose_kong_is_gone_ends_at_its_next_call(serve: Serve) -> None:
    server = serve()
    worker, instance = server.start("waits shortly", seconds=0.1)
    worker.send("plugin.HandleEvent", {"InstanceId": instance, "EventName": "access"})
    worker.close()
    server.wait_for_log("abandoned by Kong")


def test_too_many_open_events_make_room_for_new_ones(serve: Serve) -> None:
    server = serve(max_open_events=10)
    worker, instance = server.start("calls")
    answers = [worker.begin(instance) for _ in range(30)]
    for abandoned in answers[:20]:
        with pytest.raises(RpcError, match="not found"):
            worker.step(abandoned, "A")
    for kept in answers[20:]:
        assert asked(worker.step(worker.step(kept, "A"), "B"))[1][0] == 200
    eventually(lambda: server.notes().count("unwound") == 30)


def test_an_answer_that_comes_after_kong_gave_up_is_not_taken_for_another(serve: Serve) -> None:
    """Kong puts a connection back into its pool when its wait has timed out, and uses it for the next request."""
    server = serve(stale_message_age=0.05)
    worker, instance = server.start("waits shortly", seconds=1.5)
    given_up = worker.send("plugin.HandleEvent", {"InstanceId": instance, "EventName": "access"})
    with pytest.raises(TimeoutError):
        worker.receive(0.1)
    assert worker.call("plugin.GetStatus")["Pid"] == server.process.pid
    server.wait_for_log("abandoned by Kong")
    next_message = worker.send("plugin.GetStatus")
    assert worker.receive()[1] == next_message != given_up


def test_a_step_for_an_event_that_is_not_waiting_is_an_error(server: PluginProcess) -> None:
    worker, instance = server.start("gives up on kong")
    first = worker.begin(instance)
    server.wait_for_note("waiting")
    assert server.notes() == ["PDKError", "waiting"]
    message = worker.send("plugin.Step", {"EventId": first["EventId"], "Data": "late"})
    with pytest.raises(RpcError, match="not waiting"):
        server.worker().step(first, "again")
    assert asked(worker.answer_to(message)) == ("kong.response.exit", [200, "after all"])


def test_a_pdk_call_from_another_greenlet_is_an_error_there(server: PluginProcess) -> None:
    worker, instance = server.start("calls from another greenlet")
    assert "PDKError" in asked(worker.begin(instance))[1][1]


def test_code_that_spins_is_interrupted_and_answered_for(serve: Serve) -> None:
    server = serve(max_blocking_time=1)
    worker, instance = server.start("spins")
    assert_error_response(worker.begin(instance))
    server.wait_for_log("in spins")
    other, nothing = server.start("nothing")
    assert other.begin(nothing)["Data"] == "ret"


def test_a_process_that_cannot_be_interrupted_ends_and_says_where(serve: Serve) -> None:
    server = serve(max_blocking_time=0.5, watchdog_timeout=1)
    worker, instance = server.start("spins where no signal reaches")
    worker.send("plugin.HandleEvent", {"InstanceId": instance, "EventName": "access"})
    assert server.process.wait(PATIENCE) != 0
    assert "spins_where_no_signal_reaches" in server.log


def test_handlers_are_not_interrupted_while_the_loop_runs(serve: Serve) -> None:
    server = serve(max_blocking_time=2, watchdog_timeout=4)
    worker, instance = server.start("calls")
    deadline = time.monotonic() + 4.5
    while time.monotonic() < deadline:
        assert asked(worker.step(worker.step(worker.begin(instance), "A"), "B"))[1][0] == 200
    assert server.process.poll() is None
    assert "interrupting" not in server.log


def test_a_handler_is_not_interrupted_for_time_in_which_the_process_got_no_cpu(serve: Serve) -> None:
    server = serve()
    worker, instance = server.start("gets no cpu twice")
    assert asked(worker.begin(instance))[1][0] == 200
    assert "interrupting" not in server.log


def test_a_process_that_was_stopped_for_a_while_goes_on(serve: Serve) -> None:
    server = serve(max_blocking_time=0.5)
    worker, instance = server.start("calls")
    first = worker.begin(instance)
    for _ in range(2):
        server.process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            server.worker().receive(0.8)
        server.process.send_signal(signal.SIGCONT)
        assert server.status()["Pid"] == server.process.pid
    assert asked(worker.step(worker.step(first, "A"), "B"))[1][0] == 200
    assert "interrupting" not in server.log
    assert "Traceback" not in server.log


class _Listener:
    """A TCP server that answers one byte when it is told to."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def __enter__(self) -> _Listener:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = list(self._socket.getsockname())
        threading.Thread(target=self._answer, daemon=True).start()
        return self

    def _answer(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            self.release.wait(PATIENCE)
            connection.sendall(b"x")

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._socket.close()

"""What comes in on a connection: in pieces, too much, or nothing that Kong would say."""

from __future__ import annotations

import socket
from collections.abc import Callable

import msgpack
import pytest

from .conftest import PluginProcess, eventually
from .rpc_client import ConnectionClosed, asked

Serve = Callable[..., PluginProcess]

STATUS = msgpack.packb([0, 1, "plugin.GetStatus", []])


@pytest.fixture
def server(shared_server: PluginProcess) -> PluginProcess:
    return shared_server


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xc1",
        b"GET / HTTP/1.1\r\n\r\n",
        msgpack.packb("text"),
        msgpack.packb(7),
        msgpack.packb([]),
        msgpack.packb([0, 1, "plugin.GetStatus"]),
        msgpack.packb([0, 1, "plugin.GetStatus", [], []]),
        msgpack.packb([1, 1, None, {}]),
        msgpack.packb([9, 1, "plugin.GetStatus", []]),
        msgpack.packb({0: 1}),
        b"\x91" * 5000 + b"\x00",
        b"\x81\x80\x00",
    ],
    ids=lambda nonsense: repr(nonsense[:12]),
)
def test_what_is_no_rpc_closes_that_connection_and_no_other(server: PluginProcess, nonsense: bytes) -> None:
    worker, instance = server.start("nothing")
    stranger = server.worker()
    stranger.send_bytes(nonsense)
    with pytest.raises(ConnectionClosed):
        stranger.receive()
    assert worker.begin(instance)["Data"] == "ret"
    assert "does not speak MessagePack RPC" in server.log


def test_a_message_beyond_the_limit_closes_its_connection(serve: Serve) -> None:
    server = serve(max_message_bytes=100_000)
    worker, instance = server.start("reads a body")
    first = worker.begin(instance)
    stranger = server.worker()
    with pytest.raises((ConnectionClosed, BrokenPipeError, ConnectionResetError)):
        stranger.step(first, b"x" * 1_000_000)
    assert asked(worker.step(first, b"x" * 90_000))[1][1] == "bytes of 90000"


def test_a_message_may_come_in_two_pieces_wherever_it_is_cut(server: PluginProcess) -> None:
    worker, other = server.worker(), server.worker()
    for cut in range(1, len(STATUS)):
        worker.send_bytes(STATUS[:cut])
        # What the loop does for this connection comes after what it has already seen of the other.
        for _ in range(2):
            other.call("plugin.GetStatus")
        worker.send_bytes(STATUS[cut:])
        assert worker.answer_to(1)["Pid"] == server.process.pid


def test_a_message_may_come_byte_by_byte(server: PluginProcess) -> None:
    worker = server.worker()
    for byte in STATUS:
        worker.send_bytes(bytes([byte]))
    assert worker.answer_to(1)["Pid"] == server.process.pid


def test_messages_may_come_several_at_once(server: PluginProcess) -> None:
    worker = server.worker()
    second = msgpack.packb([0, 2, "plugin.GetStatus", []])
    worker.send_bytes(STATUS + second + STATUS[:5])
    assert worker.answer_to(1)["Pid"] == server.process.pid
    assert worker.answer_to(2)["Pid"] == server.process.pid
    worker.send_bytes(STATUS[5:])
    assert worker.answer_to(1)["Pid"] == server.process.pid


def test_a_notification_is_not_answered(server: PluginProcess) -> None:
    worker = server.worker()
    worker.send_bytes(msgpack.packb([2, "anything", []]) + STATUS)
    assert worker.answer_to(1)["Pid"] == server.process.pid


def test_any_message_id_comes_back(server: PluginProcess) -> None:
    worker, instance = server.start("calls")
    for message_id in (0, 2**32 - 1, 2**32, 2**53 - 1, -1, "x"):
        request = [0, message_id, "plugin.HandleEvent", [{"InstanceId": instance, "EventName": "access"}]]
        worker.send_bytes(msgpack.packb(request))
        assert worker.receive()[1] == message_id


def test_a_large_answer_reaches_a_slow_reader_whole(server: PluginProcess) -> None:
    worker, instance = server.start("echoes a large body")
    first = worker.begin(instance)
    body = bytes(range(256)) * 400
    message = worker.send("plugin.Step", {"EventId": first["EventId"], "Data": body})
    other, nothing = server.start("nothing")
    assert other.begin(nothing)["Data"] == "ret"
    assert asked(worker.answer_to(message))[1] == [200, body * 40]


def test_a_peer_that_never_reads_is_cut_off(serve: Serve) -> None:
    server = serve(max_unsent_bytes=1_000_000)
    deaf = server.worker()
    requests = msgpack.packb([0, 1, "plugin.GetStatus", []]) * 200_000
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        deaf.send_bytes(requests)
    server.wait_for_log("does not read")
    assert server.status()["Pid"] == server.process.pid


def test_connections_that_come_and_go_leave_no_descriptor_behind(serve: Serve) -> None:
    server = serve()

    def descriptors() -> int:
        return len(server.process_descriptors())

    before = descriptors()
    for _ in range(200):
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.connect(server.path)
    eventually(lambda: descriptors() == before)

"""What could arrive on the plugin server's socket: what Kong says, and what Kong would never say."""

from __future__ import annotations

import json
import random
from typing import Any

import msgpack
from hypothesis import strategies as st

from tests.harness.reader import answered, left

from . import bodies
from .pdk import KEY, SEND

METHODS = (
    "plugin.HandleEvent", "plugin.Step", "plugin.StepError", "plugin.StepMultiMap", "plugin.StepCredential",
    "plugin.StepRoute", "plugin.StepService", "plugin.StepConsumer", "plugin.StepMemoryStats", "plugin.StartInstance",
    "plugin.CloseInstance", "plugin.InstanceStatus", "plugin.GetStatus", "plugin.GetPluginInfo", "plugin.Nothing",
)  # fmt: skip

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=12),
    st.binary(max_size=12),
    st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=8)),
    st.builds(msgpack.Timestamp, st.integers(0, 2**34), st.integers(0, 10**9 - 1)),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=8), st.integers(0, 9), st.none()), inner, max_size=4),
    ),
    max_leaves=6,
)

_message = json.dumps({"from": "+63280000001", "to": "+639171234567", "text": "x"})


def _handed_over(line: Any, authorization: Any, body: Any) -> dict[str, Any]:
    return {**left(), "line": line, "authorization": authorization, "body": body}


GOOD = _handed_over(SEND, f"Bearer {KEY}", _message)
"""The request as the reader hands it over, with a good key."""

_requests = st.one_of(
    st.just(GOOD),
    st.builds(
        _handed_over,
        st.one_of(
            st.just(SEND), st.just(SEND.replace("POST", "GET").replace("sendmessage", "verify")), values
        ),
        st.one_of(st.just(f"Bearer {KEY}"), st.just(f"Bearer {KEY}"), values),
        st.one_of(st.just(_message), bodies.any_body().map(lambda raw: raw[:5000]), values),
    ),
    values,
)
_consumers = st.one_of(
    st.just({"consumer": {"id": "f70c4878", "username": "acme-manila"}}),
    st.builds(lambda value: {"consumer": value}, values),
    st.builds(lambda value: {"error": value}, values),
    values,
)

_answers = st.one_of(
    st.builds(answered, st.sampled_from([202, 401, 422, 429, 500])),
    st.builds(
        lambda name, value: {**answered(503), name: value}, st.sampled_from(sorted(answered(503))), values
    ),
    values,
)

ANSWERS: dict[str, st.SearchStrategy[Any]] = {
    "kong.ctx.shared.get": _requests,
    "kong.yeastar.load_consumer": _consumers,
    "kong.yeastar.upstream_answer": _answers,
}
"""What Kong, or somebody gone mad in its place, answers to a PDK call."""


def packed(value: Any) -> bytes:
    return bytes(msgpack.packb(value, unicode_errors="surrogateescape"))


@st.composite
def message(draw: st.DrawFn, instance: int) -> bytes:
    """One message: right, or with a wrong part, or no message at all."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return packed(draw(values))
    if kind == 1:
        return draw(st.binary(max_size=40))
    if kind == 2:
        depth = draw(st.sampled_from([10, 600, 5000, 100_000]))
        return draw(st.sampled_from([b"\x91", b"\x81\xa1a", b"\x94\x00\x01\xa1x\x91"])) * depth + b"\xc0"
    if kind == 3:
        # Lengths that nothing follows, and types that do not exist.
        return draw(
            st.sampled_from(
                [b"\xdd\xff\xff\xff\xff", b"\xc6\x7f\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc1"]
            )
        )
    method = draw(st.one_of(st.sampled_from(METHODS), st.sampled_from(METHODS), values))
    argument = draw(
        st.one_of(
            st.just({"InstanceId": instance, "EventName": "access"}),
            st.just({"InstanceId": float(instance), "EventName": "response"}),
            st.fixed_dictionaries({"EventId": st.integers(0, 2**53), "Data": values}),
            st.fixed_dictionaries({"Name": st.just("yeastar-adapter"), "Config": st.text(max_size=20)}),
            st.sampled_from([instance, instance + 1, -1, "yeastar-adapter"]),
            values,
        )
    )
    if method == "plugin.CloseInstance" and argument == instance:
        argument = -1
    whole = [
        draw(st.one_of(st.just(0), st.integers(-1, 3))),
        draw(st.one_of(st.integers(0, 2**32), values)),
        method,
    ]
    whole.append(draw(st.one_of(st.just([argument]), st.just([argument]), values)))
    if draw(st.integers(0, 9)) == 0:
        whole = whole[: draw(st.integers(0, 4))]
    return packed(whole)


@st.composite
def stream(draw: st.DrawFn, instance: int) -> list[bytes]:
    """Several messages, in order or not, whole or not, in pieces of any size."""
    messages = draw(st.lists(message(instance), min_size=1, max_size=5))
    data = b"".join(messages)
    kind = draw(st.integers(0, 3))
    if kind == 0:
        data = data[: draw(st.integers(0, len(data)))]
    elif kind == 1:
        data = draw(bodies.mutated(st.just(data)))
    choices = random.Random(draw(st.integers(0, 2**32)))
    cuts = sorted(choices.randrange(len(data) + 1) for _ in range(choices.choice((0, 0, 1, 5))))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if end > start]

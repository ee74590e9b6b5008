"""Bodies and their bytes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

import toka.kernel as kernel_package
from toka.kernel import KINDS, UPCASTS, AgentSuspended, UnknownKindError, decode_body, encode_body
from toka.kernel._evolvers import EVOLVERS
from toka.kernel._facts import BODIES
from toka.kernel._system_facts import ExtensionRecorded
from toka.types import CanonicalEncodingError, SuspendAgent, TerminateAgent


def test_every_kind_has_one_class_that_is_public_and_applied():
    assert len(KINDS) == len(set(KINDS)) == len(BODIES)
    for body in BODIES:
        assert getattr(kernel_package, body.__name__) is body
        assert (body in EVOLVERS) != (body is ExtensionRecorded)


def test_a_body_survives_its_encoding(world, agent, task):
    world.do(world.finish(world.step(task), taint=("web:a",)))
    world.do(TerminateAgent(agent, "enough"))
    for event in world.log:
        assert decode_body(event.kind, encode_body(event.body)) == event.body


def test_an_unknown_kind_is_named():
    with pytest.raises(UnknownKindError, match=r"agent\.cloned") as caught:
        decode_body("agent.cloned.v9", b"{}")
    assert caught.value.code == "kernel.unknown_kind"


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b'{"reason":3}', b"\xff", b'{"reason":"x"'])
def test_bytes_of_another_kind_are_refused(data):
    with pytest.raises(UnknownKindError) as caught:
        decode_body("agent.suspended.v1", data)
    assert caught.value.code == "kernel.malformed_body"


@given(kind=st.sampled_from(KINDS), data=st.binary(max_size=64))
def test_no_bytes_do_anything_but_decode_or_be_refused(kind, data):
    with suppress(UnknownKindError):
        decode_body(kind, data)


def test_old_kinds_are_upcast_step_by_step_when_read():
    upcasts = {
        "agent.paused.v0": lambda data: ("agent.suspended.v0", data.replace(b"why", b"because")),
        "agent.suspended.v0": lambda data: (
            "agent.suspended.v1",
            data.replace(b"because", b"reason"),
        ),
    }
    body = decode_body("agent.paused.v0", b'{"why":"x"}', upcasts)
    assert body == AgentSuspended("x")
    assert not set(UPCASTS) & set(KINDS)


def test_text_in_another_normal_form_is_not_encoded(world, agent):
    event = world.do(SuspendAgent(agent, "cafe\u0301"))
    with pytest.raises(CanonicalEncodingError):
        encode_body(event.body)

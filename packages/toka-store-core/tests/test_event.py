import copy
import pickle

import attrs
import msgspec
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from toka.store.core import (
    EMPTY,
    ORIGIN,
    Event,
    NewEvent,
    Receipt,
    event_of_header,
    header_bytes,
    header_digest,
    make_event,
    make_receipt,
    payload_digest,
)
from toka.types import EventId

ID = EventId("01JD3X8ZK5Q6T7V8W9XAYBZCDE")
FIELDS = (
    ID,
    "stream",
    "kind.v1",
    b"payload",
    7,
    (ID,),
    "intent",
    "actor",
    "token",
    ("tag",),
    3,
    2,
    payload_digest(b"payload"),
    ORIGIN,
    b"d" * 32,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ids = st.sampled_from([ID, EventId("01JD3X8ZK5Q6T7V8W9XAYBZCDF")])
digests = st.binary(min_size=32, max_size=32)
headers = st.tuples(
    st.builds(
        NewEvent,
        id=ids,
        stream=texts,
        kind=texts,
        payload=st.just(b""),
        time=st.integers(0, 2**63 - 1),
        parents=st.lists(ids, max_size=2).map(tuple),
        intent=texts,
        actor=texts,
        token=texts,
        tags=st.lists(texts, max_size=2).map(tuple),
    ),
    st.integers(1, 2**63 - 1),
    st.integers(1, 2**63 - 1),
    digests,
    digests,
)


def test_the_quick_way_makes_the_same_event():
    quick, plain = make_event(*FIELDS), Event(*FIELDS)
    assert quick == plain
    assert type(quick) is Event
    assert hash(quick) == hash(plain)
    assert repr(quick) == repr(plain)
    assert attrs.evolve(quick, time=8).time == 8


def test_an_event_cannot_be_changed_however_it_was_made():
    for event in (make_event(*FIELDS), Event(*FIELDS)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            event.time = 8  # type: ignore[misc]  # the point of the test
        assert copy.deepcopy(event) == event
        assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301 - our own bytes


def test_a_payload_is_not_shown():
    assert "secret" not in repr(NewEvent(ID, "s", "k", b"secret", 1))
    assert "<6 bytes>" in repr(NewEvent(ID, "s", "k", b"secret", 1))


def test_an_event_remembers_what_it_was_given():
    assert make_event(*FIELDS).new() == NewEvent(*FIELDS[:10])


def test_the_header_is_the_documented_array():
    event = NewEvent(*FIELDS[:10])
    header = header_bytes(event, 3, 2, ORIGIN, b"p" * 32)
    assert msgspec.msgpack.decode(header) == [
        "toka.event.1",
        3,
        2,
        ORIGIN,
        b"p" * 32,
        ID,
        "stream",
        "kind.v1",
        7,
        [ID],
        "intent",
        "actor",
        "token",
        ["tag"],
    ]
    assert header_digest(event, 3, 2, ORIGIN, b"p" * 32) == blake3(header).digest()


def test_the_digest_of_a_known_event_does_not_change():
    event = NewEvent(ID, "run/agent", "step.finished.v1", b"{}", 1_795_000_000_000_000_000)
    digest = header_digest(event, 1, 1, ORIGIN, payload_digest(event.payload))
    assert digest.hex() == "147b2b96b14c6a3aa74dbe2bf432dcc66752e925ce289e8328edf7c2dc835c6b"


@given(headers, headers)
def test_different_headers_have_different_encodings(one, other):
    same = attrs.astuple(one[0]) == attrs.astuple(other[0]) and one[1:] == other[1:]
    assert (header_bytes(*one) == header_bytes(*other)) == same


def test_a_text_cannot_pass_for_its_neighbour():
    one = NewEvent(ID, "ab", "c", b"", 1)
    other = NewEvent(ID, "a", "bc", b"", 1)
    assert header_digest(one, 1, 1, ORIGIN, ORIGIN) != header_digest(other, 1, 1, ORIGIN, ORIGIN)


def test_a_parent_cannot_pass_for_a_tag():
    one = NewEvent(ID, "s", "k", b"", 1, parents=(ID,))
    other = NewEvent(ID, "s", "k", b"", 1, tags=(ID,))
    assert header_digest(one, 1, 1, ORIGIN, ORIGIN) != header_digest(other, 1, 1, ORIGIN, ORIGIN)


def test_an_empty_log_ends_at_its_origin():
    assert EMPTY.position == 0
    assert EMPTY.digest == bytes(32)


def test_an_event_is_made_of_its_header_again():
    event = Event(*FIELDS)
    header = header_bytes(
        event, event.position, event.version, event.previous, event.payload_digest
    )
    assert event_of_header(header, event.digest, event.payload) == event
    with pytest.raises(ValueError, match="frame"):
        event_of_header(header.replace(b"toka.event.1", b"toka.event.9"), b"", b"")


@pytest.mark.parametrize(
    "header", [b"", b"\x90", b"\xc0", msgspec.msgpack.encode(("toka.event.2",))]
)
def test_what_is_no_header_makes_no_event(header):
    with pytest.raises(ValueError, match="header"):
        event_of_header(header, b"", b"")


def test_a_receipt_made_by_a_backend_is_any_other():
    made = make_receipt(1, 2, b"head")
    assert made == Receipt(1, 2, b"head")
    assert hash(made) == hash(Receipt(1, 2, b"head"))
    assert copy.copy(made) == made
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.first = 3  # pyright: ignore[reportAttributeAccessIssue] - that is the test

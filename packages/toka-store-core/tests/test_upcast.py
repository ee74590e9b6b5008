import json

import msgspec
import pytest

from toka.store.core import (
    InvalidUpcaster,
    Query,
    Snapshot,
    Upcasters,
    UpcastFailed,
    UpcastReader,
    json_upcaster,
    open_store,
)
from toka.store.core.testing import EventSource
from toka.types import JsonObject

pytestmark = pytest.mark.anyio


def in_cents(old: JsonObject) -> JsonObject:
    return {"cents": int(str(old["euros"])) * 100}


def with_currency(old: JsonObject) -> JsonObject:
    return {**old, "currency": "EUR"}


STEPS = [
    ("order.placed.v2", "order.placed.v3", json_upcaster(with_currency)),
    ("order.placed.v1", "order.placed.v2", json_upcaster(in_cents)),
]


@pytest.fixture
async def store():
    pytest.importorskip("toka.store.memory", reason="something has to be read")
    async with await open_store("memory:") as store:
        yield store


async def fill(store) -> list:
    source = EventSource()
    first = source.new("orders", "order.placed.v1", b'{"euros": 3}')
    payloads = [b'{"cents": 4}', b'{"cents": 5, "currency": "USD"}']
    rest = [
        source.new("orders", f"order.placed.v{number}", payload, parents=(first.id,))
        for number, payload in enumerate(payloads, 2)
    ]
    events = [first, *rest, source.new("orders", "order.paid.v1")]
    await store.append(events)
    return events


async def test_old_versions_are_read_as_the_newest_and_digests_stay(store):
    events = await fill(store)
    read = [event async for event in UpcastReader(store, Upcasters(STEPS)).read()]
    assert [event.kind for event in read] == ["order.placed.v3"] * 3 + ["order.paid.v1"]
    assert json.loads(read[0].payload) == {"cents": 300, "currency": "EUR"}
    assert json.loads(read[1].payload) == {"cents": 4, "currency": "EUR"}
    assert read[2].payload == events[2].payload
    stored = [event async for event in store.read()]
    assert [event.digest for event in read] == [event.digest for event in stored]
    assert [event.payload_digest for event in read] == [event.payload_digest for event in stored]


async def test_every_way_to_an_event_upcasts_it(store):
    events = await fill(store)
    reader = UpcastReader(store, Upcasters(STEPS))
    expected = [event async for event in reader.read()]
    assert [event async for event in reader.read_stream("orders")] == expected
    assert await reader.get(events[0].id) == expected[0]
    assert await reader.get(EventSource(5).event_id()) is None
    assert await reader.ancestors(events[2].id) == expected[:1]
    assert await reader.descendants(events[0].id) == expected[1:3]
    live = reader.subscribe()
    assert await anext(live) == expected[0]
    await live.aclose()


@pytest.mark.parametrize(
    ("kind", "positions"),
    [("order.placed.v3", [1, 2, 3]), ("order.paid.v1", [4]), ("order.", [1, 2, 3, 4])],
)
async def test_a_query_for_the_newest_kind_finds_the_old_ones(store, kind, positions):
    await fill(store)
    reader, query = UpcastReader(store, Upcasters(STEPS)), Query(kinds=(kind,))
    assert [event.position async for event in reader.read(where=query)] == positions


async def test_a_kind_can_get_another_name(store):
    await fill(store)
    renamed = Upcasters([*STEPS, ("order.placed.v3", "purchase.made.v1", lambda payload: payload)])
    query = Query(kinds=("purchase.",))
    found = [event.kind async for event in UpcastReader(store, renamed).read(where=query)]
    assert found == ["purchase.made.v1"] * 3
    assert renamed.newest("order.placed.v1") == "purchase.made.v1"


async def test_a_payload_that_the_step_does_not_take_is_named(store):
    event = EventSource().new(kind="order.placed.v1", payload=b"[]")
    await store.append([event])
    with pytest.raises(UpcastFailed) as caught:
        await UpcastReader(store, Upcasters(STEPS)).get(event.id)
    facts = {"event": event.id, "position": 1}
    facts |= {"kind": "order.placed.v1", "target": "order.placed.v2"}
    assert caught.value.details == facts


async def test_an_event_without_its_payload_stays_as_it_is(store):
    events = await fill(store)
    await store.save_snapshot(Snapshot("state", 4, b"", b""))
    await store.compact("state")
    found = await UpcastReader(store, Upcasters(STEPS)).get(events[0].id)
    assert found is not None
    assert (found.kind, found.payload) == ("order.placed.v1", b"")


def same(payload: bytes) -> bytes:
    return payload


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([("a.v1", "a.v3", same)], "the next version is v2"),
        ([("a.v2", "a.v1", same)], "the next version is v3"),
        ([("a.v1", "a.v1", same)], "the next version is v2"),
        ([("a.v1", "a.v2", same), ("a.v3", "a.v4", same)], "no step from it"),
        ([("a.v1", "b.v1", same), ("b.v1", "a.v1", same)], "circle"),
        ([("a.v1", "a.v2", same), ("a.v1", "b.v1", same)], "steps to"),
        ([("a", "a.v2", same)], "does not end in a version"),
        ([("a.v1", "a.v02", same)], "does not end in a version"),
    ],
)
def test_steps_that_do_not_fit_together_are_refused(steps, why):
    with pytest.raises(InvalidUpcaster, match=why):
        Upcasters(steps)


def test_the_steps_are_given_to_the_kernel_in_its_form():
    table = Upcasters(STEPS).table()
    kind, payload = "order.placed.v1", b'{"euros": 3}'
    while kind in table:
        kind, payload = table[kind](payload)
    assert kind == "order.placed.v3"
    assert msgspec.json.decode(payload) == {"cents": 300, "currency": "EUR"}

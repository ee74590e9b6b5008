from __future__ import annotations

import anyio
import attrs
import nats
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.bus.nats import Gap, NatsBus
from toka.bus.nats._trace import headers_of, trace_in, well_formed

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
OTHER = f"00-{TRACE}-00f067aa0ba902b7-01"

MALFORMED = [
    "",
    "00",
    PARENT.upper(),
    PARENT + " ",
    f" {PARENT}",
    f"{PARENT}\n",
    f"{PARENT}\r\nNats-Msg-Id: other",
    f"{PARENT}-what is not of version 00",
    f"ff-{TRACE}-{SPAN}-01",
    f"00-{'0' * 32}-{SPAN}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE[:-1]}-{SPAN}-01",
    f"00-{TRACE}-{SPAN}-1",
    f"00-{TRACE}-{SPAN[:-1]}g-01",
    f"00-{TRACE}-{SPAN[:-1]}\N{FULLWIDTH DIGIT ONE}-01",
    f"cc-{TRACE}-{SPAN}-01-" + "x" * 300,
    "x" * 60_000,
]


@attrs.frozen
class Item:
    id: str
    kind: str = "note.taken.v1"
    number: int = 0


@attrs.define
class Tracing:
    """Somebody who traces, and has this span open."""

    current: str = ""


async def take(subscription, count):
    """Return so many items, each with the trace that was told along with it."""
    taken = []
    with anyio.fail_after(30):
        while len(taken) < count:
            taken.append((await anext(subscription), subscription.trace))
    return taken


async def publish_raw(server, item_id, headers):
    """Publish an item as a stranger could who writes what headers he likes."""
    client = await nats.connect(server.url)
    data = b"\x83\xa2id" + bytes([0xA0 + len(item_id)]) + item_id.encode()
    data += b"\xa4kind\xadnote.taken.v1\xa6number\x00"
    await client.jetstream().publish("toka.note.taken.v1", data, headers=headers)
    await client.close()


@pytest.mark.anyio
async def test_an_item_tells_the_trace_in_which_it_was_published(server):
    tracing = Tracing()
    async with (
        await NatsBus.open(server.url, Item, tracing=tracing) as bus,
        await NatsBus.open(server.url, Item) as untraced,
        await untraced.subscribe() as subscription,
    ):
        assert subscription.trace == ""
        tracing.current = PARENT
        await bus.publish([Item("1"), Item("2")])
        tracing.current = OTHER
        await bus.publish([Item("3")])
        tracing.current = ""
        await bus.publish([Item("4")])
        await untraced.publish([Item("5")])
        told = await take(subscription, 5)
        assert [(item.id, trace) for item, trace in told] == [
            ("1", PARENT),
            ("2", PARENT),
            ("3", OTHER),
            ("4", ""),
            ("5", ""),
        ]


@pytest.mark.anyio
async def test_each_of_several_items_has_its_own_trace(server):
    tracing = Tracing(PARENT)
    async with (
        await NatsBus.open(server.url, Item, tracing=tracing) as bus,
        await bus.subscribe(filter=lambda item: item.number >= 0) as subscription,
    ):
        await bus.publish([Item("1"), Item("2", number=-1)])
        tracing.current = OTHER
        await bus.publish([Item("3")])
        got = {}
        with anyio.fail_after(30):
            while len(got) < 2:
                items = await subscription.receive()
                for item, trace in zip(items, subscription.traces, strict=True):
                    assert isinstance(item, Item)
                    got[item.id] = trace
        assert got == {"1": PARENT, "3": OTHER}


@pytest.mark.anyio
async def test_a_gap_is_of_no_trace(server):
    tracing = Tracing(PARENT)
    async with (
        await NatsBus.open(server.url, Item, max_items=2, tracing=tracing) as bus,
        await bus.subscribe() as subscription,
    ):
        await bus.publish([Item(str(number)) for number in range(5)])
        told = await take(subscription, 3)
        assert [trace for _, trace in told] == ["", PARENT, PARENT]
        assert told[0][0] == Gap(3)


@pytest.mark.anyio
async def test_what_is_sent_again_to_a_durable_name_keeps_its_trace(server):
    async with await NatsBus.open(server.url, Item, tracing=Tracing(PARENT)) as bus:
        async with await bus.subscribe(durable="reader") as subscription:
            await bus.publish([Item("1"), Item("2")])
            await take(subscription, 1)
        async with await bus.subscribe(durable="reader") as again:
            ((item, trace),) = await take(again, 1)
            assert (item.id, trace) == ("2", PARENT)


@pytest.mark.anyio
async def test_a_strangers_header_is_ignored_and_the_item_is_not(server):
    values = [text for text in MALFORMED if text.isascii() and text.strip() == text]
    async with (
        await NatsBus.open(server.url, Item) as bus,
        await bus.subscribe() as subscription,
    ):
        for number, text in enumerate(values):
            if "\r\n" not in text:  # the client refuses that itself
                await publish_raw(server, str(number), {"traceparent": text, "Traceparent": PARENT})
        await publish_raw(server, "good", {"traceparent": f"cc-{TRACE}-{SPAN}-01-more"})
        sent = [str(number) for number, text in enumerate(values) if "\r\n" not in text]
        told = await take(subscription, len(sent) + 1)
        assert [(item.id, trace) for item, trace in told] == [
            *((name, "") for name in sent),
            ("good", PARENT),
        ]


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_malformed_is_as_good_as_none(text):
    assert well_formed(text) == ""
    assert trace_in({"traceparent": text}) == ""
    assert headers_of(Tracing(text)) == {}


def test_a_later_version_is_understood_as_far_as_version_00_goes():
    assert well_formed(f"cc-{TRACE}-{SPAN}-01-\x1b[31mmore") == PARENT
    assert well_formed(f"01-{TRACE}-{SPAN}-01") == PARENT


def test_no_headers_are_no_trace():
    assert trace_in(None) == trace_in({}) == trace_in({"tracestate": "a=b"}) == ""
    assert headers_of(None) == headers_of(Tracing()) == {}


@given(st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.*"))
def test_only_the_fields_of_version_00_come_through(text):
    found = well_formed(text)
    assert found == "" or (found == f"00{text[2:55]}" and len(found) == 55 and found.isascii())

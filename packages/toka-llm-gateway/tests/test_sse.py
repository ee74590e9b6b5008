from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.llm_gateway import ResponseTooLarge
from toka.llm_gateway.formats._sse import SseParser


def parse(*chunks: bytes) -> list[tuple[bytes, bytes]]:
    parser = SseParser()
    return [(event.name, event.data) for chunk in chunks for event in parser.feed(chunk)]


def feed_often(parser: SseParser, chunk: bytes) -> None:
    for _ in range(30):
        list(parser.feed(chunk))


def test_a_blank_line_dispatches():
    assert parse(b"event: a\ndata: 1\n\ndata: 2\n\n") == [(b"a", b"1"), (b"", b"2")]


def test_lines_of_data_are_joined():
    assert parse(b"data: 1\ndata:2\ndata\n\n") == [(b"", b"1\n2\n")]


def test_comments_and_other_fields_are_ignored():
    assert parse(b": ping\nid: 7\nretry: 1\nfoo: bar\ndata: 1\n\n") == [(b"", b"1")]


def test_an_event_without_data_is_not_dispatched():
    assert parse(b"event: a\n\ndata: 1\n\n") == [(b"", b"1")]


def test_only_one_space_after_the_colon_is_dropped():
    assert parse(b"data:  1\n\n") == [(b"", b" 1")]


def test_a_byte_order_mark_at_the_start_is_dropped():
    assert parse(b"\xef", b"\xbb\xbfdata: 1\n\n") == [(b"", b"1")]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_works(end):
    assert parse(end.join([b"event: a", b"data: 1", b"data: 2", b"", b""])) == [(b"a", b"1\n2")]


def test_a_line_end_cut_in_two_is_one_line_end():
    assert parse(b"data: 1\r", b"\ndata: 2\r", b"\n\r", b"\n") == [(b"", b"1\n2")]


def test_what_the_end_cuts_off_is_dropped():
    assert parse(b"data: 1\n\ndata: 2\n") == [(b"", b"1")]


def test_an_endless_line_is_refused():
    parser = SseParser(max_event_bytes=100)
    with pytest.raises(ResponseTooLarge):
        feed_often(parser, b"data: xxxx")


def test_an_endless_event_is_refused():
    parser = SseParser(max_event_bytes=100)
    with pytest.raises(ResponseTooLarge):
        feed_often(parser, b"data: xxxxxx\n")


texts = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(texts), st.sampled_from(["\n", "\r", "\r\n"]), st.data())
def test_any_cutting_of_the_bytes_gives_the_same_events(datas, end, data):
    wire = "".join(f"data: {text}{end}{end}" for text in datas).encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=12)))
    bounds = [0, *cuts, len(wire)]
    chunks = [wire[a:b] for a, b in itertools.pairwise(bounds)]
    assert [d.decode() for _, d in parse(*chunks)] == datas


@given(st.binary())
def test_garbage_never_fails(garbage):
    parse(garbage)

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from toka.store.core import ORIGIN, Event, make_event
from toka.store.semantic import event_text
from toka.store.semantic._document import snippet
from toka.store.semantic._text import MAX_TEXT
from toka.store.semantic._words import question_words
from toka.types import EventId


def event(payload: bytes, kind: str = "step.completed.v1") -> Event:
    names = (EventId("0" * 26), "stream", kind, payload, 0, (), "", "", "", ())
    return make_event(*names, 1, 1, ORIGIN, ORIGIN, ORIGIN)


def test_the_kind_comes_first_without_its_version():
    assert event_text(event(b"{}")) == "step completed"


def test_strings_have_their_keys_and_what_is_near_the_root_comes_first():
    payload = (
        b'{"result": {"output_text": "deep"}, "reason": "near", "count": 3, "items": ["a", "b"]}'
    )
    lines = event_text(event(payload)).splitlines()
    assert lines == ["step completed", "reason: near", "output text: deep", "items: a", "items: b"]


def test_identifiers_and_digests_are_left_out():
    payload = b'{"id": "01JD3X8ZK5Q6T7V8W9XAYBZCDE", "digest": "00112233445566778899aabbccddeeff"}'
    assert event_text(event(payload)) == "step completed"
    named = b'{"agent": "01JD3X8ZK5Q6T7V8W9XAYBZCDE/debts"}'
    assert event_text(event(named)).splitlines()[1] == "agent: debts"


def test_plain_text_is_taken_as_it_is():
    assert event_text(event(b"the disk is full")).endswith("\nthe disk is full")


def test_bytes_that_are_no_text_contribute_nothing():
    assert event_text(event(b"\xff\xfe\x00\x01")).strip() == "step completed"


def test_text_is_bounded():
    payload = msgspec.json.encode({f"key{number}": "long " * 900 for number in range(50)})
    assert len(event_text(event(payload))) <= MAX_TEXT + 1


def test_deep_nesting_is_read_or_left_out():
    payload = b"[" * 5_000 + b'"deep"' + b"]" * 5_000
    assert event_text(event(payload)).startswith("step completed")


@given(st.binary(max_size=200))
def test_any_payload_has_a_text(payload):
    assert event_text(event(payload)).startswith("step completed")


def test_common_words_of_a_question_are_left_out_unless_there_are_no_others():
    assert question_words("Who wrote the report, the REPORT?") == ["wrote", "report", "REPORT"]
    assert question_words("who is it") == ["who", "is", "it"]


def test_a_snippet_is_the_line_with_most_of_the_words():
    text = "step completed\nname: write\nreason: the disk was full\nhint: buy a disk"
    assert snippet(text, "is the disk full") == "reason: the disk was full"
    assert snippet(text, "unheard") == "name: write · reason: the disk was full · hint: buy a disk"
    long = "word " * 200 + "needle " + "word " * 200
    assert "needle" in snippet(long, "needles")
    assert len(snippet(long, "needles")) <= 162

import attrs
import pytest

from toka.store.core import (
    EMPTY,
    ORIGIN,
    ChainCheck,
    Damaged,
    Event,
    Head,
    VerifyReport,
    header_digest,
    payload_digest,
)
from toka.store.core.testing import EventSource


def chain(count: int, stream: str = "s") -> list[Event]:
    source, events, previous = EventSource(), list[Event](), ORIGIN
    for position in range(1, count + 1):
        new = source.new(stream, payload=b"%d" % position)
        payload = payload_digest(new.payload)
        digest = header_digest(new, position, position, previous, payload)
        events.append(
            Event(
                **attrs.asdict(new, recurse=False),
                position=position,
                version=position,
                payload_digest=payload,
                previous=previous,
                digest=digest,
            )
        )
        previous = digest
    return events


def walk(events: list[Event], expected: Head | None = None) -> VerifyReport:
    check = ChainCheck("log")
    for event in events:
        check.add(event)
    return check.report(expected)


def test_a_sound_chain_has_no_problems():
    events = chain(5)
    report = walk(events, Head(5, events[-1].digest))
    assert report.ok
    assert report.head == Head(5, events[-1].digest)
    assert report.events == 5
    assert walk([], EMPTY).ok


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"payload": b"other"}, "the payload does not have its digest"),
        ({"kind": "other"}, "the header or the payload is not what was written"),
        ({"time": 1}, "the header or the payload is not what was written"),
        ({"tags": ("new",)}, "the header or the payload is not what was written"),
        ({"digest": bytes(32)}, "the header or the payload is not what was written"),
    ],
)
def test_a_changed_event_is_found_at_its_position(change, what):
    events = chain(4)
    events[1] = attrs.evolve(events[1], **change)
    report = walk(events)
    assert not report.ok
    assert (report.problems[0].position, report.problems[0].what) == (2, what)
    assert all(problem.position in {2, 3} for problem in report.problems)


def test_a_missing_event_is_found():
    events = chain(4)
    del events[1]
    report = walk(events)
    assert "position 2 is missing" in [problem.what for problem in report.problems]


def test_exchanged_events_are_found():
    events = chain(4)
    events[1], events[2] = events[2], events[1]
    assert not walk(events).ok


def test_an_event_from_another_chain_is_found():
    events = chain(4)
    events[2] = chain(4, "other")[2]
    report = walk(events)
    assert report.problems[0].position == 3
    assert report.problems[0].what == "the link to the event before does not hold"


def test_a_cut_end_is_found_by_the_head_in_the_second_place():
    events = chain(4)
    report = walk(events[:2], Head(4, events[-1].digest))
    assert [problem.what for problem in report.problems] == ["the events 3 to 4 are missing"]
    assert not walk(events, Head(4, bytes(32))).ok


def test_a_report_of_many_problems_lists_the_first_and_counts_all():
    report = walk([attrs.evolve(event, payload=b"x") for event in chain(150)])
    assert len(report.problems) == 100
    assert report.problem_count > 149
    with pytest.raises(Damaged) as caught:
        report.raise_if_damaged()
    assert caught.value.position == 1
    assert f"and {report.problem_count - 1} more" in str(caught.value)

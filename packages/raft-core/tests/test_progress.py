import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_core import Progress, ProgressState
from raft_core._inflights import Inflights


def make(state: ProgressState = ProgressState.PROBE, **fields: int) -> Progress:
    values = {"match": 0, "next": 1, **fields}
    return Progress(inflights=Inflights(4, 2**62), state=state, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "match", "after", "pending", "expected"),
    [
        (ProgressState.REPLICATE, 1, 5, 0, 2),
        (ProgressState.SNAPSHOT, 1, 11, 10, 11),
        (ProgressState.SNAPSHOT, 1, 2, 0, 2),
    ],
)
def test_probing_starts_behind_what_is_known_or_sent(
    state: ProgressState, match: int, after: int, pending: int, expected: int
) -> None:
    progress = make(state, match=match, next=after, pending_snapshot=pending, sent_commit=99)
    progress.become_probe()
    assert (progress.state, progress.match, progress.next) == (
        ProgressState.PROBE,
        match,
        expected,
    )
    assert progress.sent_commit == expected - 1


def test_replicating_goes_on_behind_the_match() -> None:
    progress = make(match=1, next=5)
    progress.become_replicate()
    assert (progress.state, progress.next) == (ProgressState.REPLICATE, 2)


def test_a_snapshot_pauses_until_it_is_done() -> None:
    progress = make(match=1, next=5)
    progress.become_snapshot(10)
    assert progress.is_paused
    assert (progress.next, progress.pending_snapshot, progress.sent_commit) == (11, 10, 10)
    progress.become_replicate()
    assert not progress.is_paused
    assert progress.pending_snapshot == 0


@pytest.mark.parametrize(
    ("index", "match", "after", "news"),
    [(2, 3, 5, False), (3, 3, 5, False), (4, 4, 5, True), (5, 5, 6, True)],
)
def test_acknowledgements_only_raise(index: int, match: int, after: int, news: bool) -> None:
    progress = make(match=3, next=5)
    assert progress.maybe_update(index) is news
    assert (progress.match, progress.next) == (match, after)


@pytest.mark.parametrize(
    ("state", "match", "after", "rejected", "hint", "news", "expected"),
    [
        (ProgressState.REPLICATE, 5, 10, 5, 5, False, 10),
        (ProgressState.REPLICATE, 5, 10, 4, 4, False, 10),
        (ProgressState.REPLICATE, 5, 10, 9, 9, True, 6),
        (ProgressState.PROBE, 0, 10, 5, 5, False, 10),  # not the probe under way
        (ProgressState.PROBE, 0, 10, 9, 9, True, 9),
        (ProgressState.PROBE, 0, 2, 1, 1, True, 1),
        (ProgressState.PROBE, 0, 10, 9, 2, True, 3),
        (ProgressState.PROBE, 0, 10, 9, 0, True, 1),
        (ProgressState.PROBE, 5, 10, 9, 2, True, 6),  # never below the match
        (ProgressState.PROBE, 9, 10, 9, 2, False, 10),
    ],
)
def test_rejections_lower_where_to_go_on(
    state: ProgressState,
    match: int,
    after: int,
    rejected: int,
    hint: int,
    news: bool,
    expected: int,
) -> None:
    progress = make(state, match=match, next=after, sent_commit=after - 1)
    assert progress.maybe_decrease(rejected, hint) is news
    assert progress.next == expected
    assert progress.sent_commit == expected - 1  # what was sent above that has not arrived


def test_a_commit_index_is_sent_once() -> None:
    progress = make(ProgressState.REPLICATE, match=5, next=8)
    assert progress.can_bump_commit(6)
    progress.sent_commit = 7
    assert not progress.can_bump_commit(9)  # the follower cannot go beyond what is under way


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 100)), max_size=20),
    st.integers(0, 100),
)
def test_the_window_counts_what_is_not_acknowledged(
    steps: list[tuple[int, int]], acknowledged: int
) -> None:
    window = Inflights(max_messages=5, max_bytes=200)
    index = 0
    under_way: list[tuple[int, int]] = []
    for step, size in steps:
        index += step
        window.add(index, size)
        under_way.append((index, size))
    window.free_up_to(acknowledged)
    left = [size for last, size in under_way if last > acknowledged]
    assert window.count == len(left)
    assert window.total_bytes == sum(left)
    assert window.is_full == (len(left) >= 5 or sum(left) >= 200)
    copy = window.clone()
    window.clear()
    assert (copy.count, copy.total_bytes) == (len(left), sum(left))
    assert (window.count, window.total_bytes) == (0, 0)

"""The checker of histories, against histories known good and bad, and against brute force."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_core import Entry
from raft_core.simulation import Kind, Operation, Verdict, check_history, check_positions
from raft_core.simulation._store import Command, encode_command


def get(value: int, invoked: int, returned: int | None, key: int = 1) -> Operation:
    return Operation(
        client=1, kind=Kind.GET, key=key, value=value, invoked=invoked, returned=returned
    )


def put(value: int, invoked: int, returned: int | None, key: int = 1) -> Operation:
    return Operation(
        client=2, kind=Kind.PUT, key=key, value=value, invoked=invoked, returned=returned
    )


def swap(expected: int, value: int, invoked: int, returned: int | None, *, done: bool) -> Operation:
    return Operation(
        client=3,
        kind=Kind.SWAP,
        key=1,
        value=value,
        expected=expected,
        done=done,
        invoked=invoked,
        returned=returned,
    )


GOOD = {
    "nothing": [],
    "what was written is read": [put(7, 1, 2), get(7, 3, 4)],
    "a read during a write sees either": [put(7, 1, 9), get(0, 2, 3), get(7, 4, 5)],
    "a write without an answer may have happened late": [
        put(7, 1, None),
        get(0, 2, 3),
        get(7, 4, 5),
    ],
    "a write without an answer may never happen": [put(7, 1, None), get(0, 2, 3), get(0, 4, 5)],
    "writes at the same time in either order": [put(1, 1, 9), put(2, 2, 8), get(1, 10, 11)],
    "a swap that finds what it expects": [put(1, 1, 2), swap(1, 2, 3, 4, done=True), get(2, 5, 6)],
    "a swap that does not": [put(1, 1, 2), swap(3, 2, 3, 4, done=False), get(1, 5, 6)],
    "a swap without an answer": [put(1, 1, 2), swap(1, 2, 3, None, done=True), get(2, 5, 6)],
    "keys do not touch": [put(7, 1, 2), get(0, 3, 4, key=2)],
}
BAD = {
    "a write is lost": [put(7, 1, 2), get(0, 3, 4)],
    "a value from nowhere": [get(7, 1, 2)],
    "a read goes back": [put(7, 1, 9), get(7, 2, 3), get(0, 4, 5)],
    "a read goes back behind an unanswered write": [put(7, 1, None), get(7, 2, 3), get(0, 4, 5)],
    "two swaps of one value": [swap(0, 1, 1, 9, done=True), swap(0, 2, 2, 8, done=True)],
    "a swap fails for no reason": [put(1, 1, 2), swap(1, 2, 3, 4, done=False)],
    "a read before its write": [get(7, 1, 2), put(7, 3, 4)],
    "readers disagree on the order": [
        put(1, 1, 20),
        put(2, 2, 21),
        get(1, 3, 4),
        get(2, 5, 6),
        get(1, 7, 8),
    ],
    "one bad key among good ones": [put(1, 1, 2, key=2), put(7, 1, 2), get(0, 3, 4)],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_is_linearizable(name: str) -> None:
    assert check_history(GOOD[name]) is Verdict.LINEARIZABLE


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_not(name: str) -> None:
    assert check_history(BAD[name]) is Verdict.VIOLATION


def test_a_search_cut_short_is_not_a_yes() -> None:
    history = [put(number, 1, 100) for number in range(1, 9)]
    assert check_history(history, step_limit=3) is Verdict.UNKNOWN


def test_a_thousand_operations_in_turn_take_no_search() -> None:
    history = []
    for number in range(1, 1000, 2):
        history += [
            put(number, 4 * number, 4 * number + 1),
            get(number, 4 * number + 2, 4 * number + 3),
        ]
    assert check_history(history, step_limit=5_000) is Verdict.LINEARIZABLE


# Against the definition


def explains(order: tuple[Operation, ...]) -> bool:
    for later, operation in enumerate(order):
        for earlier in order[:later]:
            if operation.returned is not None and operation.returned < earlier.invoked:
                return False
    value = 0
    for operation in order:
        found = value == operation.expected
        if operation.kind is Kind.GET:
            if operation.returned is not None and operation.value != value:
                return False
        elif operation.kind is Kind.PUT:
            value = operation.value
        else:
            if operation.returned is not None and operation.done is not found:
                return False
            value = operation.value if found else value
    return True


def by_definition(history: list[Operation]) -> bool:
    """Try every order, of the answered ones with every choice of the others."""
    answered = [one for one in history if one.returned is not None]
    others = [one for one in history if one.returned is None]
    for choice in range(2 ** len(others)):
        chosen = [one for place, one in enumerate(others) if choice >> place & 1]
        if any(explains(order) for order in permutations([*answered, *chosen])):
            return True
    return False


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    count = draw(st.integers(1, 5))
    moments = draw(st.permutations(range(2 * count)))
    history = []
    for number in range(count):
        invoked, returned = sorted(moments[2 * number : 2 * number + 2])
        history.append(
            Operation(
                client=number,
                kind=draw(st.sampled_from(Kind)),
                key=1,
                value=draw(st.integers(0, 2)),
                expected=draw(st.integers(0, 2)),
                done=draw(st.booleans()),
                invoked=invoked,
                returned=returned if draw(st.integers(0, 4)) else None,
            )
        )
    return history


@given(history=histories())
@settings(max_examples=250, deadline=None)
def test_the_search_agrees_with_the_definition(history: list[Operation]) -> None:
    expected = Verdict.LINEARIZABLE if by_definition(history) else Verdict.VIOLATION
    assert check_history(history) is expected


# By the positions of the log


def command(serial: int, value: int, kind: Kind = Kind.PUT, expected: int = 0) -> bytes:
    return encode_command(Command(2, serial, kind, 1, value, expected))


LOG = [
    Entry(),
    Entry(1, 1),
    Entry(1, 2, command(1, 7)),
    Entry(1, 3, command(2, 8)),
    Entry(1, 4, command(2, 8)),
]


def at(position: int, operation: Operation) -> Operation:
    operation.position = position
    return operation


def test_positions_that_agree_with_time_and_log_are_right() -> None:
    history = [at(2, put(7, 1, 2)), at(2, get(7, 3, 4)), at(3, put(8, 5, 6)), at(4, get(8, 7, 8))]
    assert check_positions(history, LOG) is None


@pytest.mark.parametrize(
    "history",
    [
        [at(3, put(8, 1, 2)), at(2, put(7, 3, 4))],
        [at(3, put(8, 1, 2)), at(2, get(7, 3, 4))],
        [at(2, put(7, 1, 2)), at(2, get(8, 3, 4))],
        [at(1, put(7, 1, 2))],
        [at(4, put(8, 1, 2))],
        [at(9, get(7, 1, 2))],
        [put(7, 1, 2)],
    ],
    ids=["write back", "read back", "wrong value", "not there", "done before", "no log", "nowhere"],
)
def test_positions_that_disagree_are_found(history: list[Operation]) -> None:
    assert check_positions(history, LOG)

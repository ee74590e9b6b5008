"""Laws of what a retry keeps, over runs of any shape."""

from __future__ import annotations

from itertools import pairwise

import attrs
from hypothesis import given
from hypothesis import strategies as st

from toka.orchestration import parse_specs
from toka.orchestration._past import Past, PastStep
from toka.orchestration._retry import keep
from toka.types import AgentId, EventId, TaskId

RUN = AgentId("01JD3X8ZK5Q6T7V8W9XAYBZCDE")
NAMES = ("a", "b", "c")
SPECS = parse_specs(
    b"""
agents:
  - {name: a, tasks: {default: [{id: t, description: do it, entry: "m:f"}]}}
  - {name: b, tasks: {default: [{id: t, description: do it, entry: "m:f"}]}}
  - name: c
    dependencies: {required: {a: needed}}
    tasks: {default: [{id: t, description: do it, entry: "m:f"}]}
""",
    "agents.yaml",
).agents

acts = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.integers(0, 1),
        st.sampled_from(["root", "root/0:x", "root/1:y", "root/1:y/0:z"]),
        st.sampled_from(["done", "done", "done", "failed", "open"]),
    ),
    min_size=1,
    max_size=25,
)


def past_of(some) -> Past:
    """Return a past in which these steps were done one after another, as the kernel has it."""
    past, last, ordinals, position = Past(RUN), {}, {}, 0
    stuck: set[tuple[TaskId, str]] = set()
    # An agent is at one task after another, and c begins when a has ended.
    for name, number, path, end in sorted(some, key=lambda act: (act[0] == "c", act[1])):
        task = TaskId(f"{RUN}/{name}#{number}")
        if (task, path) in stuck:
            continue
        ordinal = ordinals.get((task, path), 0)
        trunk, cause = path, None
        while trunk and cause is None:
            cause = last.get((task, trunk))
            trunk = trunk.rpartition("/")[0]
        position += 2
        event = EventId(f"E{position}")
        step = PastStep(
            task, 1, path, ordinal, position, cause or EventId(f"{task} began"), [event]
        )
        if end != "open":
            step.ended, step.failed = position + 1, end == "failed"
            last[task, path], ordinals[task, path] = event, ordinal + 1
        else:
            stuck.add((task, path))
        past.steps.append(step)
    return past


def ended_before(past: Past, first: PastStep) -> set[PastStep]:
    return {step for step in past.steps if step.ended and step.ended < first.began}


@given(some=acts, pick=st.integers(0, 1 << 16))
def test_what_is_kept_has_an_outcome_and_comes_after_nothing_that_is_done_anew(some, pick):
    past = past_of(some)
    chosen = past.steps[pick % len(past.steps)]
    kept = keep(past, chosen.events[0], SPECS)
    assert chosen not in kept
    assert all(step.ended is not None for step in kept)
    anew = set(past.steps) - set(kept)
    events = {event for step in anew for event in step.events}
    assert not [step for step in kept if step.cause in events]
    for step in kept:
        for other in anew:
            below = other.task == step.task and other.path.startswith(f"{step.path}/")
            assert not (below and other.ended is not None and other.ended < step.began)


@given(some=acts, pick=st.integers(0, 1 << 16))
def test_all_that_had_ended_before_is_kept_where_nothing_has_failed(some, pick):
    past = past_of([(*act[:3], "done") for act in some])
    chosen = past.steps[pick % len(past.steps)]
    kept = keep(past, chosen.events[0], SPECS)
    assert ended_before(past, chosen) <= set(kept)
    # Nobody waits for b, and it waits for nobody.
    if not chosen.agent.endswith("/b"):
        assert {step for step in past.steps if step.agent.endswith("/b")} <= set(kept)
    if chosen.agent.endswith("/a"):
        assert not [step for step in kept if step.agent.endswith("/c")]


@given(some=acts, pick=st.integers(0, 1 << 16))
def test_a_later_step_keeps_no_less(some, pick):
    past = past_of([(*act[:3], "done") for act in some])
    chosen = past.steps[pick % len(past.steps)]
    later = [s for s in past.steps if (s.task, s.path) == (chosen.task, chosen.path)]
    kept = [set(keep(past, step.events[0], SPECS)) for step in later]
    assert all(a <= b for a, b in pairwise(kept))


@given(some=acts, pick=st.integers(0, 1 << 16))
def test_the_same_past_gives_the_same_answer(some, pick):
    past = past_of(some)
    event = past.steps[pick % len(past.steps)].events[0]
    again = attrs.evolve(past)
    assert keep(past, event, SPECS) == keep(again, event, SPECS)

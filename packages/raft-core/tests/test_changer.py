import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_core import ConfChangeError, ConfChangeSingle, ConfChangeType, ConfState
from raft_core._changer import check_conf_state, enter_joint, leave_joint, normalized, simple

THREE = ConfState(voters=(1, 2, 3))
singles = st.builds(ConfChangeSingle, st.sampled_from(ConfChangeType), st.integers(0, 6))


def change(kind: ConfChangeType, node_id: int) -> ConfChangeSingle:
    return ConfChangeSingle(kind, node_id)


def test_a_simple_change_alters_one_voter_at_most() -> None:
    add, remove = ConfChangeType.ADD_NODE, ConfChangeType.REMOVE_NODE
    assert simple(THREE, [change(add, 4)]).voters == (1, 2, 3, 4)
    for two in ([change(add, 4), change(add, 5)], [change(add, 4), change(remove, 1)]):
        with pytest.raises(ConfChangeError, match="more than one voter"):
            simple(THREE, two)


def test_learners_are_no_voters_and_may_change_freely() -> None:
    learn = ConfChangeType.ADD_LEARNER
    assert simple(THREE, [change(learn, 4), change(learn, 5)]).learners == (4, 5)
    assert simple(THREE, [change(learn, 3)]) == ConfState(voters=(1, 2), learners=(3,))


def test_a_cancelled_change_changes_nothing() -> None:
    assert simple(THREE, [change(ConfChangeType.REMOVE_NODE, 0)]) == THREE


@given(st.lists(singles, max_size=6), st.booleans())
def test_majorities_before_and_after_always_overlap(
    changes: list[ConfChangeSingle], auto_leave: bool
) -> None:
    try:
        after = simple(THREE, changes)
    except ConfChangeError:
        pass
    else:
        check_conf_state(after)
        both = set(THREE.voters) & set(after.voters)
        union = set(THREE.voters) | set(after.voters)
        assert len(union) - len(both) <= 1
    try:
        joint = enter_joint(THREE, changes, auto_leave=auto_leave)
    except ConfChangeError:
        return
    check_conf_state(joint)
    assert joint.voters_outgoing == THREE.voters
    left = leave_joint(joint)
    check_conf_state(left)
    assert left.voters == joint.voters
    assert set(left.learners) == {*joint.learners, *joint.learners_next}


@pytest.mark.parametrize(
    "broken",
    [
        ConfState(voters=(2, 1)),
        ConfState(voters=(1, 1)),
        ConfState(voters=(0, 1)),
        ConfState(voters=(1,), learners=(1,)),
        ConfState(voters=(1,), voters_outgoing=(2,), learners=(2,)),
        ConfState(voters=(1,), learners_next=(2,)),
        ConfState(voters=(1,), voters_outgoing=(1, 2), learners_next=(1,)),
        ConfState(voters=(1,), auto_leave=True),
        ConfState(learners=(1,)),
    ],
)
def test_configurations_that_cannot_be_are_refused(broken: ConfState) -> None:
    with pytest.raises(ConfChangeError):
        check_conf_state(broken)


def test_order_and_repetition_do_not_matter_after_normalizing() -> None:
    assert normalized(ConfState(voters=(3, 1, 3), learners=(5, 4))) == ConfState(
        voters=(1, 3), learners=(4, 5)
    )

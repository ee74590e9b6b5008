"""Accounts: slices, reservations, overdrafts, and what comes back."""

import pytest

from toka.kernel import _decide_others
from toka.types import (
    Amounts,
    Budget,
    EntityId,
    Failure,
    FinishAgent,
    ReserveBudget,
    RestartAgent,
    SettleBudget,
    SpawnAgent,
    TerminateAgent,
)


def account(world, agent):
    return world.state.agent(agent).account


def reserve(world, agent, money):
    return world.do(ReserveBudget(agent, Amounts(money=money))).body.reservation


def test_a_child_gets_a_slice_of_its_parents_budget(world):
    root = world.root(budget=Budget(money=10))
    kid = world.child(root, "kid", budget=Budget(money=7))
    assert account(world, root).available[0] == 3
    assert account(world, kid).available[0] == 7
    refused = world.refused(SpawnAgent(root, "greedy", budget=Budget(money=4)))
    assert refused.code == "kernel.budget_exhausted"
    assert refused.details == {"agent": root, "resource": "money", "available": 3, "wanted": 4}


def test_a_child_returns_what_it_did_not_use(world):
    root = world.root(budget=Budget(money=10))
    kid = world.child(root, "kid", budget=Budget(money=7))
    world.do(SettleBudget(reserve(world, kid, 5), Amounts(money=2)))
    reserve(world, kid, 1)
    assert world.do(FinishAgent(kid)).body.spent == Amounts(money=2)
    assert account(world, root).available[0] == 8
    assert account(world, root).spent.money == 2
    assert len(world.state.reservations) == 0


def test_a_child_without_a_slice_draws_on_its_parent(world):
    root = world.root(budget=Budget(money=10))
    kid = world.child(root, "kid")
    grandchild = world.child(kid, "deep")
    reservation = reserve(world, grandchild, 6)
    assert account(world, root).available[0] == 4
    assert account(world, kid).granted.money == 6
    assert world.refused(ReserveBudget(kid, Amounts(money=5))).details["agent"] == root
    world.do(SettleBudget(reservation, Amounts(money=1)))
    assert account(world, root).available[0] == 9
    world.do(TerminateAgent(kid, ""))
    assert account(world, root).available[0] == 9
    assert account(world, root).spent.money == 1
    assert account(world, root).granted.money == 0


def test_an_overdraft_is_booked_and_stops_further_reservations(world):
    root = world.root(budget=Budget(money=10))
    kid = world.child(root, "kid", budget=Budget(money=4))
    settled = world.do(SettleBudget(reserve(world, kid, 4), Amounts(money=7)))
    assert settled.body.overdrawn
    assert account(world, kid).available[0] == -3
    assert world.refused(ReserveBudget(kid, Amounts(money=1))).code == "kernel.budget_exhausted"
    world.do(FinishAgent(kid))
    assert account(world, root).available[0] == 3


def test_each_resource_is_counted_for_itself(world):
    root = world.root(budget=Budget(money=10, calls=1))
    world.do(ReserveBudget(root, Amounts(tokens=1_000_000, calls=1)))
    assert world.refused(ReserveBudget(root, Amounts(calls=1))).details["resource"] == "calls"
    world.do(ReserveBudget(root, Amounts(money=10)))


def test_a_restarted_agent_goes_on_with_what_it_had_left(world):
    root = world.root(budget=Budget(money=10))
    kid = world.child(root, "kid", budget=Budget(money=7))
    world.do(SettleBudget(reserve(world, kid, 5), Amounts(money=5)))
    world.do(FinishAgent(kid, Failure("x", "y")))
    reserve(world, root, 4)
    assert world.refused(RestartAgent(kid, "")).code == "kernel.budget_exhausted"
    world.do(SettleBudget(next(iter(world.state.reservations)), Amounts()))
    world.do(RestartAgent(kid, ""))
    assert account(world, kid).available[0] == 2
    assert account(world, root).available[0] == 3


def test_a_reservation_is_settled_once(world):
    root = world.root()
    reservation = reserve(world, root, 5)
    world.do(SettleBudget(reservation, Amounts(money=5)))
    refused = world.refused(SettleBudget(reservation, Amounts(money=5)))
    assert refused.code == "kernel.unknown_reservation"


def test_a_reservation_that_never_was_is_unknown(world):
    refused = world.refused(SettleBudget(EntityId("x"), Amounts()))
    assert refused.code == "kernel.unknown_reservation"


def test_reservations_are_bounded(world, monkeypatch):
    monkeypatch.setattr(_decide_others, "MAX_OPEN_RESERVATIONS", 1)
    root = world.root()
    reserve(world, root, 1)
    assert world.refused(ReserveBudget(root, Amounts(1))).code == "kernel.limit_exceeded"


@pytest.mark.parametrize("budget", [Budget(), Budget(tokens=3)])
def test_termination_tells_what_the_whole_branch_has_spent(world, budget):
    root = world.root()
    kid = world.child(root, "kid", budget=budget)
    grandchild = world.child(kid, "deep")
    world.do(SettleBudget(reserve(world, kid, 1), Amounts(money=1)))
    world.do(SettleBudget(reserve(world, grandchild, 1), Amounts(money=2)))
    assert world.do(TerminateAgent(root, "")).body.spent.money == 3

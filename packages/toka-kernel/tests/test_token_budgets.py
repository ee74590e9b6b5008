"""The budget that a token states: the kernel charges it, along the whole chain, in one decision."""

import attrs
import pytest

from toka.capability.core import Hop, MaxRate
from toka.kernel import TOKENS, TokenHop
from toka.types import (
    NANOSECONDS,
    Amounts,
    Budget,
    Failure,
    FinishAgent,
    ReserveBudget,
    RestartAgent,
    SettleBudget,
    SpawnAgent,
    StartStep,
    TerminateAgent,
)

DAY = 86_400 * NANOSECONDS


@pytest.fixture
def rich(world):
    claims = world.claims("rich", *world.boss.permissions)
    return attrs.evolve(claims, budget=(("calls", 9), ("money", 10)))


def handed(parent, name, **budget):
    stated = tuple(sorted(budget.items()))
    merged = tuple(sorted({**dict(parent.budget), **budget}.items()))
    chain = (*parent.accounts, Hop(name, name, stated))
    return attrs.evolve(parent, subject=name, budget=merged, chain=chain, token_id=name)


def left(world, name):
    return world.state.accounts[name].account.available


def reserve(world, agent, money, claims):
    return world.do(ReserveBudget(agent, Amounts(money=money)), claims).body.reservation


def test_what_is_done_under_a_token_counts_against_its_budget(world, rich):
    root = world.root()
    reservation = reserve(world, root, 6, rich)
    assert left(world, rich.token_id) == (4, None, 9)
    refused = world.refused(ReserveBudget(root, Amounts(money=5)), rich)
    assert refused.code == "kernel.budget_exhausted"
    assert refused.details == {
        "token": rich.token_id,
        "subject": "rich",
        "resource": "money",
        "available": 4,
        "wanted": 5,
    }
    world.do(SettleBudget(reservation, Amounts(money=2)), rich)
    assert left(world, rich.token_id) == (8, None, 9)
    assert world.replayed() == world.state


def test_one_decision_debits_every_account_along_the_chain(world, rich):
    root = world.root()
    first, second = handed(rich, "first", money=8), handed(rich, "second", money=8)
    deep = handed(handed(first, "middle"), "deep", calls=2, money=7)
    reserve(world, root, 5, deep)
    assert [left(world, name)[0] for name in (rich.token_id, "first", "deep")] == [5, 3, 2]
    assert "middle" not in world.state.accounts
    reserve(world, root, 4, second)
    # The smallest remainder is what is left, whoever's it is.
    for claims, amount, payer in ((deep, 2, rich.token_id), (first, 4, rich.token_id)):
        refused = world.refused(ReserveBudget(root, Amounts(money=amount)), claims)
        assert (refused.details["token"], refused.details["available"]) == (payer, 1)
    reserve(world, root, 1, deep)
    assert left(world, rich.token_id)[0] == 0


def test_fanning_out_does_not_multiply_a_budget(world, rich):
    root = world.root()
    heirs = [handed(rich, f"heir-{number}", money=10) for number in range(20)]
    answers = [world.ask(ReserveBudget(root, Amounts(money=1)), heir) for heir in heirs]
    assert sum(isinstance(answer, tuple) for answer in answers) == 10


def test_a_step_is_paid_by_the_token_that_began_it(world, rich, task):
    intent = world.step(task, estimate=Amounts(money=4, calls=1))
    world.do(StartStep(intent), rich)
    assert left(world, rich.token_id) == (6, None, 8)
    world.do(world.finish(intent, spent=Amounts(money=3, calls=1)))  # under the boss's token
    assert left(world, rich.token_id) == (7, None, 8)
    assert world.refused(StartStep(world.step(task, estimate=Amounts(money=8))), rich)


def test_a_step_in_one_commit_is_asked_for_and_booked(world, rich, task):
    intent = world.step(task, estimate=Amounts(money=11))
    asked = world.kernel.authorize(world.state, world.finish(intent), rich, world.now)
    assert asked.code == "kernel.budget_exhausted"
    # As a decision it records what has happened, however much that cost.
    world.do(world.finish(intent, spent=Amounts(money=11)), rich)
    assert left(world, rich.token_id)[0] == -1
    assert world.refused(StartStep(world.step(task, estimate=Amounts(money=1))), rich)


def test_agents_spend_from_the_token_that_spawned_them(world, rich):
    agent = world.do(SpawnAgent(None, "run", budget=Budget(money=6)), rich).stream
    assert left(world, rich.token_id)[0] == 4
    assert world.refused(SpawnAgent(None, "run", budget=Budget(money=5)), rich)
    kid = world.do(SpawnAgent(agent, "kid"), rich).stream
    # Agents have tokens of their own, which state no budget.
    reservation = reserve(world, kid, 5, world.boss)
    assert left(world, rich.token_id)[0] == 4
    world.do(SettleBudget(reservation, Amounts(money=5)))
    world.do(TerminateAgent(agent, ""))
    assert left(world, rich.token_id)[0] == 5
    assert world.replayed() == world.state


def test_an_agent_without_a_slice_draws_on_the_token_that_spawned_it(world, rich):
    agent = world.do(SpawnAgent(None, "run"), rich).stream
    kid = world.child(agent, "kid")
    reserve(world, kid, 8, world.boss)
    assert left(world, rich.token_id)[0] == 2
    refused = world.refused(ReserveBudget(kid, Amounts(money=3)))
    assert refused.details["token"] == rich.token_id


def test_nothing_is_charged_twice_to_one_account(world, rich):
    agent = world.do(SpawnAgent(None, "run"), rich).stream
    heir = handed(rich, "heir", money=5)
    reserve(world, agent, 3, heir)
    assert (left(world, rich.token_id)[0], left(world, "heir")[0]) == (7, 2)


def test_a_restarted_agent_draws_again_on_who_pays_for_it(world, rich):
    root = world.root()
    kid = world.do(SpawnAgent(root, "kid", budget=Budget(money=7)), rich).stream
    world.do(SettleBudget(reserve(world, kid, 5, world.boss), Amounts(money=5)))
    world.do(FinishAgent(kid, Failure("x", "y")))
    assert left(world, rich.token_id)[0] == 5
    reserve(world, root, 4, rich)
    assert world.refused(RestartAgent(kid, "")).details["token"] == rich.token_id
    world.do(TerminateAgent(world.root(), ""))
    world.do(SettleBudget(next(iter(world.state.reservations)), Amounts()))
    world.do(RestartAgent(kid, ""))
    assert left(world, rich.token_id)[0] == 3
    assert world.replayed() == world.state


def test_the_admission_names_the_chain_and_the_holder(world, rich):
    heir = attrs.evolve(handed(rich, "heir", money=3), holder="thumbprint")
    admitted, _ = world.ask(SpawnAgent(None, "run"), heir)
    assert admitted.stream == TOKENS
    assert admitted.body.chain == (
        TokenHop(rich.token_id, "rich", rich.budget),
        TokenHop("heir", "heir", (("money", 3),)),
    )
    assert admitted.body.holder == "thumbprint"
    assert [hop.token for hop in admitted.body.accounts] == [rich.token_id, "heir"]


@pytest.mark.parametrize(
    "change", [{"holder": "another"}, {"chain": (Hop("a", "b", ()), Hop("heir", "heir", ()))}]
)
def test_a_token_with_another_chain_under_its_name_is_refused(world, rich, change):
    heir = handed(rich, "heir", money=3)
    world.do(SpawnAgent(None, "run"), heir)
    refused = world.refused(SpawnAgent(None, "run"), attrs.evolve(heir, **change))
    assert refused.code == "kernel.token_conflict"


def test_a_rate_is_not_the_kernels(world, rich):
    rated = attrs.evolve(handed(rich, "heir"), rate=MaxRate(1, 60))
    world.do(SpawnAgent(None, "run"), rated)
    world.do(SpawnAgent(None, "run"), rated)


def test_a_link_that_states_another_budget_than_before_is_refused(world, rich):
    world.do(SpawnAgent(None, "run"), rich)
    richer = attrs.evolve(rich, budget=(("money", 99),))
    refused = world.refused(SpawnAgent(None, "run"), handed(richer, "heir", money=3))
    assert refused.code == "kernel.token_conflict"


def admit_many(world, count=200):
    """Let time pass with so many tokens that expired ones are looked for."""
    for _ in range(count):
        claims = world.claims("ada", "agent:spawn:**", "agent:control:**", life=5)
        world.do(TerminateAgent(world.do(SpawnAgent(None, "x"), claims).stream, ""), claims)
        world.now += NANOSECONDS


def test_an_account_outlives_a_short_heir_of_it(world, rich):
    root = world.root()
    brief = attrs.evolve(handed(rich, "brief"), expires_at=rich.issued_at + 10)
    world.do(SettleBudget(reserve(world, root, 10, brief), Amounts(money=10)))
    admit_many(world)
    assert "brief" not in world.state.tokens
    assert world.refused(ReserveBudget(root, Amounts(money=1)), handed(rich, "next"))


def test_an_account_is_forgotten_when_no_token_and_no_agent_can_name_it(world, rich):
    agent = world.do(SpawnAgent(None, "run"), rich).stream
    world.now += DAY
    world.boss = world.claims("boss", *world.boss.permissions)
    admit_many(world)
    assert rich.token_id in world.state.accounts
    assert world.refused(ReserveBudget(agent, Amounts(money=11)))
    world.do(TerminateAgent(agent, ""))
    admit_many(world)
    assert rich.token_id not in world.state.accounts
    assert world.replayed() == world.state

"""Tokens are put on record when they are used first."""

import attrs
import pytest
from msgspec import Raw

from toka.kernel import TOKENS
from toka.types import NANOSECONDS, EmitObservation, SpawnAgent, TerminateAgent

SPAWN = ("agent:spawn:**",)


def test_the_first_event_under_a_token_is_preceded_by_what_the_token_says(world):
    claims = world.claims("ada", *SPAWN, untainted=("secret:read:key",))
    admitted, spawned = world.ask(SpawnAgent(None, "run"), claims)
    assert (admitted.kind, admitted.stream) == ("token.admitted.v1", TOKENS)
    said = admitted.body
    assert (said.subject, said.vault, said.permissions) == ("ada", "vault", SPAWN)
    assert said.untainted == ("secret:read:key",)
    assert (said.issued_at, said.expires_at) == (claims.issued_at, claims.expires_at)
    assert admitted.token == spawned.token == said.token
    assert len(world.ask(SpawnAgent(None, "run"), claims)) == 1


def test_a_token_whose_first_operation_is_refused_is_not_recorded(world):
    world.refused(SpawnAgent(None, "run"), world.claims("ada", "fs:read:x"))
    assert len(world.state.tokens) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "eve"},
        {"permissions": ("agent:spawn:**", "agent:act:**")},
        {"vault": "other"},
        {"untainted": ("a:b:c",)},
        {"expires_at": 1_800_000_000},
        {"issued_at": 1},
        {"budget": (("money", 1),)},
    ],
)
def test_a_token_that_says_something_else_under_the_same_name_is_refused(world, change):
    claims = world.claims("ada", *SPAWN)
    world.do(SpawnAgent(None, "run"), claims)
    refused = world.refused(SpawnAgent(None, "run"), attrs.evolve(claims, **change))
    assert refused.code == "kernel.token_conflict"


def test_an_expired_token_allows_nothing(world):
    claims = world.claims("ada", *SPAWN, life=10)
    world.now += 10 * NANOSECONDS - 1
    world.do(SpawnAgent(None, "run"), claims)
    world.now += 1
    assert world.refused(SpawnAgent(None, "run"), claims).code == "kernel.token_expired"


def test_expired_tokens_are_forgotten_in_time(world):
    for _ in range(1_000):
        event = world.do(SpawnAgent(None, "run"), world.claims("ada", *SPAWN, life=10))
        world.do(TerminateAgent(event.stream, ""))
        world.now += NANOSECONDS
    assert len(world.state.tokens) <= 64
    assert world.replayed() == world.state


def test_expired_tokens_are_looked_for_only_when_there_are_twice_as_many(world):
    looked_at = []
    for _ in range(300):
        before = world.state.sweep
        world.do(TerminateAgent(world.root(), ""), world.claims("ada", "agent:control:**"))
        if world.state.sweep != before:
            looked_at.append(len(world.state.tokens))
    assert looked_at == [64, 128, 256]


def test_tokens_of_agents_are_forgotten_after_their_family_has_ended(world):
    lasting = world.root()
    kept = world.claims(lasting, f"agent:act:{lasting}")
    world.do(EmitObservation(lasting, "here", Raw(b"1")), kept)

    def come_and_go():
        run = world.root()
        own = world.claims(run, f"agent:act:{run}")
        world.do(EmitObservation(run, "here", Raw(b"1")), own)
        world.do(TerminateAgent(run, ""))
        return run, own

    run, own = [come_and_go() for _ in range(500)][-1]
    assert len(world.state.tokens) <= 64
    assert kept.token_id in world.state.tokens
    # One that comes back is admitted anew, and allows what it says: its agent is gone.
    assert (
        world.refused(EmitObservation(run, "here", Raw(b"1")), own).code == "kernel.unknown_agent"
    )
    assert world.replayed() == world.state

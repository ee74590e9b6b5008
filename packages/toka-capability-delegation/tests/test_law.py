import attrs
import pytest

from toka.capability.core import (
    ActionHierarchy,
    ExpiresAt,
    MaxBudget,
    MaxDepth,
    NotBefore,
    OnlyAudience,
    OnlyDuring,
    OnlyPermissions,
    OnlyUntainted,
)
from toka.capability.delegation.testing import AUDIENCE, check_law
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator


def make(clock):
    key = Hs256Key.generate()
    return JwtHs256Issuer(key, clock), JwtHs256Validator([key], clock, audience=AUDIENCE)


@pytest.mark.parametrize("seed", range(20_261_121, 20_261_125))
def test_attack_4_2_19_whatever_a_child_allows_every_ancestor_allows(seed):
    # 20,000 chains in all; in four parts, so that two cores share them.
    report = check_law(make, chains=5_000, seed=seed)
    assert report.counterexample is None
    assert report.chains == 5_000
    assert report.accepted > 1_250
    assert report.allowed > 12_500


# The law would be worth nothing if it could not see a rule that is missing.


def unchecked(kind, seed, **changes):
    """Replace the rule of a caveat by one that takes whatever it says.

    Each with a seed that finds a counterexample early; any does in the end.
    """

    def apply(self, claims, *_hierarchy):
        values = {name: getattr(self, source) for name, source in changes.items()}
        return attrs.evolve(claims, **values)

    return pytest.param(kind, apply, seed, id=kind.__name__)


@pytest.mark.parametrize(
    ("kind", "apply", "seed"),
    [
        unchecked(OnlyPermissions, 0, permissions="permissions", untainted="untainted"),
        unchecked(ExpiresAt, 3, expires_at="seconds"),
        unchecked(NotBefore, 6, not_before="seconds"),
        unchecked(OnlyDuring, 8, windows="windows"),
        unchecked(OnlyAudience, 3, audience="audience"),
        unchecked(MaxDepth, 12, depth="hops"),
        unchecked(MaxBudget, 1, budget="amounts"),
    ],
)
def test_the_law_sees_a_missing_rule(monkeypatch, kind, apply, seed):
    monkeypatch.setattr(kind, "apply", apply)
    report = check_law(make, chains=20_000, seed=seed)
    assert report.counterexample is not None


def test_the_law_sees_a_caveat_that_turns_guarded_into_granted(monkeypatch):
    def apply(_self, claims):
        return attrs.evolve(
            claims, permissions=(*claims.permissions, *claims.untainted), untainted=()
        )

    monkeypatch.setattr(OnlyUntainted, "apply", apply)
    assert check_law(make, chains=20_000, seed=1).counterexample is not None


def test_the_same_seed_is_the_same_run():
    assert check_law(make, chains=50, seed=7) == check_law(make, chains=50, seed=7)


HIERARCHY = ActionHierarchy.of([("fs", "write", "read")])


def test_attack_4_2_19_the_law_holds_where_actions_imply_one_another():
    report = check_law(make, chains=2_000, seed=20_261_121, hierarchy=HIERARCHY)
    assert report.counterexample is None
    assert report.accepted > 500

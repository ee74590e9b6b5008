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


def test_attack_4_2_19_whatever_a_child_allows_every_ancestor_allows():
    report = check_law(make, chains=20_000, seed=20_261_121)
    assert report.counterexample is None
    assert report.chains == 20_000
    assert report.accepted > 5_000
    assert report.allowed > 50_000


# The law would be worth nothing if it could not see a rule that is missing.


def unchecked(kind, **changes):
    """Replace the rule of a caveat by one that takes whatever it says."""

    def apply(self, claims, *_hierarchy):
        values = {name: getattr(self, source) for name, source in changes.items()}
        return attrs.evolve(claims, **values)

    return kind, apply


@pytest.mark.parametrize(
    ("kind", "apply"),
    [
        unchecked(OnlyPermissions, permissions="permissions", untainted="untainted"),
        unchecked(ExpiresAt, expires_at="seconds"),
        unchecked(NotBefore, not_before="seconds"),
        unchecked(OnlyDuring, windows="windows"),
        unchecked(OnlyAudience, audience="audience"),
        unchecked(MaxDepth, depth="hops"),
        unchecked(MaxBudget, budget="amounts"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_law_sees_a_missing_rule(monkeypatch, kind, apply):
    monkeypatch.setattr(kind, "apply", apply)
    report = check_law(make, chains=20_000, seed=1)
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
    report = check_law(make, chains=3_000, seed=20_261_121, hierarchy=HIERARCHY)
    assert report.counterexample is None
    assert report.accepted > 800

"""The faults of the first Toka's delegation, by the section of its inventory: 18."""

import attrs
import pytest

from toka.capability.core import (
    ActionHierarchy,
    ExpiresAt,
    Extension,
    MaxBudget,
    MaxDepth,
    OnlyDuring,
    OnlyPermissions,
    TimeWindow,
    TokenRefusedError,
)
from toka.capability.delegation import DelegatedValidator, narrow
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator

NOW = 1_795_000_000
READ = OnlyPermissions(("fs:read:/data/**",))


def test_original_18_01_what_was_delegated_is_in_the_token(key, clock, token):
    child = narrow(narrow(token, "bob", [READ]), "carol", [ExpiresAt(NOW + 60)])
    # A verifier that has never heard of any of it.
    claims = DelegatedValidator(JwtHs256Validator([key], clock)).validate(child)
    assert (claims.subject, claims.permissions, claims.expires_at) == (
        "carol",
        READ.permissions,
        NOW + 60,
    )
    assert [hop.subject for hop in claims.chain] == ["alice", "bob", "carol"]


def test_original_18_02_a_token_that_was_seen_is_verified_under_the_key_in_use(
    validator, token, clock
):
    child = narrow(token, "bob")
    assert validator.validate(child)
    other = DelegatedValidator(JwtHs256Validator([Hs256Key.generate()], clock))
    for presented in (token, child):
        with pytest.raises(TokenRefusedError):
            other.validate(presented)


def test_original_18_03_each_delegation_has_a_name_by_which_it_can_be_revoked(validator, token):
    names = [hop.token_id for hop in validator.validate(narrow(narrow(token, "b"), "c")).chain]
    assert len(names) == len(set(names)) == 3


def test_original_18_04_two_children_of_one_parent_have_names_of_their_own(validator, token):
    one, two = (validator.validate(narrow(token, "bob", [READ])) for _ in range(2))
    assert one.chain[0] == two.chain[0]
    assert one.token_id != two.token_id


def test_original_18_05_restrictions_of_a_second_delegation_count(validator, token):
    parent = narrow(token, "bob", [READ, MaxBudget((("calls", 50),))])
    child = validator.validate(
        narrow(parent, "carol", [OnlyPermissions(("fs:read:/data/a",)), MaxBudget((("calls", 5),))])
    )
    assert child.permissions == ("fs:read:/data/a",)
    assert child.budget_for("calls") == 5
    assert [dict(hop.budget).get("calls") for hop in child.chain] == [100, 50, 5]


def test_original_18_06_a_restriction_that_nobody_enforces_refuses(validator, token):
    with pytest.raises(TokenRefusedError):
        validator.validate(narrow(token, "bob", [Extension("custom", {"region": "eu"})]))


def test_original_18_07_a_delegator_may_hand_on_what_its_action_implies(root, issuer, claims):
    hierarchy = ActionHierarchy.of([("fs", "admin", "write"), ("fs", "write", "read")])
    token = issuer.issue(attrs.evolve(claims, permissions=("fs:admin:/data/**",)))
    child = narrow(token, "bob", [READ], hierarchy=hierarchy)
    assert DelegatedValidator(root, hierarchy=hierarchy).validate(child).permissions == (
        READ.permissions
    )


def test_original_18_08_a_delegation_that_ends_ends_the_token(validator, token, clock):
    child = narrow(token, "bob", [ExpiresAt(NOW + 60)])
    assert validator.validate(child).expires_at == NOW + 60
    clock.seconds += 60
    with pytest.raises(TokenRefusedError):
        validator.validate(child)
    assert validator.validate(token)


@pytest.mark.parametrize("subject", ["??>>", "\u00fc\u00ff\u00bf", "~~~"])
def test_original_18_09_names_that_need_the_other_alphabet_are_read(
    validator, issuer, claims, subject
):
    token = issuer.issue(attrs.evolve(claims, subject=subject))
    assert validator.validate(narrow(token, subject + "2")).chain[0].subject == subject


@pytest.mark.parametrize(("zone", "open_"), [("UTC", False), ("Asia/Tokyo", True)])
def test_original_18_10_a_window_is_in_its_zone(validator, token, zone, open_):
    # It is 11:06 in London, and 20:06 in Tokyo.
    child = narrow(token, "bob", [OnlyDuring((TimeWindow("20:00", "21:00", zone),))])
    if open_:
        assert validator.validate(child)
    else:
        with pytest.raises(TokenRefusedError):
            validator.validate(child)


def test_original_18_11_a_night_belongs_to_the_day_it_began_on():
    tuesday = TimeWindow("22:00", "06:00", "UTC", (2,))
    wednesday_noon = NOW - NOW % 86_400 + 43_200
    assert tuesday.contains(wednesday_noon - 36_000)  # 02:00
    assert not tuesday.contains(wednesday_noon + 43_200 - 3_600)  # 23:00 of Wednesday
    assert not tuesday.contains(wednesday_noon - 36_000 - 86_400)  # 02:00 of Tuesday


def test_original_18_12_what_is_configured_counts(root, token):
    child = narrow(narrow(token, "bob"), "carol")
    assert DelegatedValidator(root, max_depth=2).validate(child)
    with pytest.raises(TokenRefusedError):
        DelegatedValidator(root, max_depth=1).validate(child)
    with pytest.raises(TokenRefusedError):
        narrow(narrow(token, "bob", [MaxDepth(0)]), "carol")


def test_original_18_13_a_window_is_closed_at_its_end():
    window = TimeWindow("09:00", "17:00")
    midnight = NOW - NOW % 86_400
    edges = [midnight + 9 * 3_600 - 1, midnight + 9 * 3_600, midnight + 17 * 3_600 - 1]
    assert [window.contains(edge) for edge in [*edges, midnight + 17 * 3_600]] == [
        False,
        True,
        True,
        False,
    ]


def test_original_18_14_whoever_explains_has_verified(clock, claims, validator):
    foreign = JwtHs256Issuer(Hs256Key.generate(), clock).issue(claims)
    assert not validator.explain(narrow(foreign, "bob"), "fs:read:/data/x").allowed

import json

import pytest

from toka.capability.core import ExpiresAt, OnlyPermissions, OnlyUntainted, PermissionSyntaxError
from toka.capability.delegation import narrow

NOW = 1_795_000_000
PUBLIC = OnlyPermissions(("fs:read:/data/public/**",))


@pytest.fixture
def chain(token):
    return narrow(narrow(token, "bob", [PUBLIC]), "carol", [ExpiresAt(NOW + 60)])


def test_an_allowed_request_shows_which_permission_of_each_hop_grants_it(validator, chain):
    found = validator.explain(chain, "fs:read:/data/public/x")
    assert found.allowed
    assert found.cut_by is None
    assert [(step.number, step.delegator, step.subject) for step in found.steps] == [
        (0, None, "alice"),
        (1, "alice", "bob"),
        (2, "bob", "carol"),
    ]
    assert [step.permission for step in found.steps] == [
        "fs:read:/data/**",
        "fs:read:/data/public/**",
        "fs:read:/data/public/**",
    ]
    assert found.steps[2].caveats == (ExpiresAt(NOW + 60),)


def test_a_refused_request_shows_the_hop_and_the_caveat_that_cut_it(validator, chain):
    found = validator.explain(chain, "proc:run:git")
    assert not found.allowed
    assert found.denial is not None
    assert (found.denial.code, found.denial.hop) == ("capability.not_granted", 1)
    assert found.denial.needed == "proc:run:git"
    assert found.cut_by == PUBLIC
    assert [step.permission for step in found.steps] == ["proc:run:git", None, None]


def test_what_was_never_granted_was_cut_by_no_caveat(validator, chain):
    found = validator.explain(chain, "net:get:https://example.com/")
    assert found.denial is not None
    assert found.denial.hop == 0
    assert found.cut_by is None


def test_a_tainted_subject_is_told_apart(validator, token):
    child = narrow(token, "bob", [OnlyUntainted()])
    assert validator.explain(child, "proc:run:git").allowed
    found = validator.explain(child, "proc:run:git", tainted=True)
    assert found.denial is not None
    assert (found.denial.code, found.denial.hop) == ("capability.tainted", 1)
    assert found.cut_by == OnlyUntainted()


def test_a_hop_that_is_not_valid_ends_the_explanation(validator, chain, clock):
    clock.seconds = NOW + 60
    found = validator.explain(chain, "fs:read:/data/public/x")
    assert found.denial is not None
    assert (found.denial.code, found.denial.hop) == ("capability.expired", 2)
    assert len(found.steps) == 2


def test_a_hop_that_widens_is_named(validator, chain, forge):
    found = validator.explain(forge(chain, "carol", "dave", ExpiresAt(NOW + 61)), "proc:run:git")
    assert found.denial is not None
    assert (found.denial.code, found.denial.hop) == ("capability.widens", 3)


def test_a_forged_chain_is_not_explained(validator, chain):
    found = validator.explain(chain[:-1] + ("A" if chain[-1] != "A" else "E"), "proc:run:git")
    assert found.steps == ()
    assert found.denial is not None
    assert found.denial.code == "capability.bad_signature"


def test_a_root_token_is_explained_too(validator, token):
    found = validator.explain(token, "proc:run:git")
    assert found.allowed
    assert len(found.steps) == 1


def test_validating_and_explaining_agree(validator, token, chain):
    for presented in (token, chain):
        claims = validator.validate(presented)
        for request in ("fs:read:/data/x", "fs:read:/data/public/x", "proc:run:git", "proc:run:x"):
            granted = claims.granted.covers(request) is not None
            assert validator.explain(presented, request).allowed == granted


def test_an_explanation_is_json(validator, chain):
    found = validator.explain(chain, "proc:run:git").as_json()
    read = json.loads(json.dumps(found))
    assert read["allowed"] is False
    assert read["steps"][1]["caveats"] == {"permissions": ["fs:read:/data/public/**"]}
    assert read["denial"]["hop"] == 1


def test_what_is_no_request_cannot_be_explained(validator, token):
    with pytest.raises(PermissionSyntaxError):
        validator.explain(token, "fs:read:/data/**")

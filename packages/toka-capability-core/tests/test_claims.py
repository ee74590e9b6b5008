import pickle
from typing import Any

import attrs
import pytest

from toka.capability.core import (
    MAX_AMOUNT,
    PUBLIC_DENIAL,
    Claims,
    Denial,
    InvalidClaimsError,
    TokenRefusedError,
    validate_claims,
)

NOW = 1_795_000_000
CLAIMS = Claims(
    subject="run/inventory",
    vault="default",
    permissions=("fs:read:/data/**",),
    issued_at=NOW,
    expires_at=NOW + 900,
    token_id="01JD3X8ZK5Q6T7V8W9XAYBZCDE",  # noqa: S106 - an identifier
    untainted=("fs:write:/out/**",),
    budget=(("calls", 10), ("money", 5_000_000)),
)


def refused(now: int = NOW, leeway: int = 0, **changes: Any) -> Denial:
    with pytest.raises(InvalidClaimsError) as caught:
        validate_claims(attrs.evolve(CLAIMS, **changes), now, leeway_seconds=leeway)
    return caught.value.denial


def accepted(now: int = NOW, leeway: int = 0, **changes: Any) -> None:
    validate_claims(attrs.evolve(CLAIMS, **changes), now, leeway_seconds=leeway)


def test_sound_claims_are_accepted():
    accepted()
    accepted(permissions=(), untainted=(), budget=())
    accepted(subject="Zoë Ångström", audience=("node-1",), not_before=NOW)


def test_what_is_granted_and_what_is_guarded_are_apart():
    assert CLAIMS.granted.covers("fs:read:/data/x") is not None
    assert CLAIMS.granted.covers("fs:write:/out/x") is None
    assert CLAIMS.guarded.covers("fs:write:/out/x") is not None
    assert CLAIMS.granted is CLAIMS.granted


def test_a_budget_limits_what_it_names():
    assert CLAIMS.budget_for("money") == 5_000_000
    assert CLAIMS.budget_for("tokens") is None


@pytest.mark.parametrize("field", ["subject", "vault", "token_id"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\t",
        " a",
        "a ",
        "a\n",
        "a\x00b",
        "a\u200bb",
        "a\u202eb",
        "a\ud800",
        "e\u0301",
        "a\u00a0b",
        "x" * 257,
        "é" * 129,
    ],
)
def test_a_name_is_printable_in_one_spelling_and_at_most_256_bytes(field, text):
    refused(**{field: text})


@pytest.mark.parametrize("field", ["subject", "vault", "token_id"])
def test_a_name_of_256_bytes_is_accepted(field):
    for text in ("x" * 256, "é" * 128):
        changes: dict[str, Any] = {field: text}
        accepted(**changes)


def test_attack_4_1_14_a_hundred_permissions_are_accepted_and_one_more_is_not():
    texts = tuple(f"fs:read:/{number}" for number in range(100))
    accepted(permissions=texts, untainted=())
    accepted(permissions=texts[:60], untainted=texts[60:])
    refused(permissions=(*texts, "fs:read:/x"), untainted=())
    refused(permissions=texts, untainted=("fs:read:/x",))


@pytest.mark.parametrize("text", ["", " ", "*", "FS:read:/x", "fs:read:/a/../b", "x" * 513])
@pytest.mark.parametrize("field", ["permissions", "untainted"])
def test_attack_4_1_15_a_permission_out_of_the_grammar_is_refused(field, text):
    changes: dict[str, Any] = {field: (text,)}
    refused(**changes)


@pytest.mark.parametrize("value", [True, "9999999999", None, 1.5, 1e30, -1, 2**53, 253_402_300_800])
@pytest.mark.parametrize("field", ["expires_at", "issued_at"])
def test_attack_4_1_09_a_time_is_an_integer_up_to_the_year_9999(field, value):
    refused(**{field: value})
    if value is not None:
        refused(not_before=value)


def test_attack_4_1_10_the_edges_of_a_life():
    assert refused(now=NOW + 900).code == "capability.expired"
    accepted(now=NOW + 899)
    accepted(now=NOW + 904, leeway=5)
    refused(now=NOW + 905, leeway=5)


def test_attack_4_1_10_not_before_counts_the_leeway():
    accepted(not_before=NOW)
    assert refused(not_before=NOW + 1).code == "capability.not_yet_valid"
    accepted(not_before=NOW + 30, leeway=30)
    refused(not_before=NOW + 31, leeway=30)
    refused(not_before=NOW + 900)


def test_attack_4_1_10_an_issue_in_the_future_is_refused_beyond_five_seconds():
    accepted(now=NOW - 5)
    assert refused(now=NOW - 6).code == "capability.not_yet_valid"
    accepted(now=NOW - 30, leeway=30)
    refused(now=NOW - 31, leeway=30)


def test_attack_4_1_10_a_life_is_at_most_a_day_whatever_the_leeway():
    accepted(expires_at=NOW + 86_400)
    refused(expires_at=NOW + 86_401)
    refused(expires_at=NOW + 86_401, leeway=60)
    refused(expires_at=NOW)
    refused(expires_at=NOW - 1)


@pytest.mark.parametrize(
    "budget",
    [
        (("money", -1),),
        (("money", MAX_AMOUNT + 1),),
        (("money", True),),
        (("money", 1.5),),
        (("minutes", 1),),
        (("money", 1), ("calls", 1)),
        (("money", 1), ("money", 2)),
    ],
)
def test_a_budget_is_sorted_known_and_in_range(budget):
    refused(budget=budget)


def test_an_audience_is_a_few_names():
    accepted(audience=tuple(f"node-{n}" for n in range(16)))
    refused(audience=tuple(f"node-{n}" for n in range(17)))
    refused(audience=("",))


def test_a_refusal_carries_its_denial_through_pickling():
    error = TokenRefusedError.of(Denial(code="capability.revoked", rule="a rule", hop=2))
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert copy.denial == error.denial == Denial(code="capability.revoked", rule="a rule", hop=2)
    assert copy.code == "capability.revoked"


def test_the_outside_sees_a_denial_that_says_nothing():
    assert Denial(code="capability.denied") == PUBLIC_DENIAL


def test_a_refusal_is_one_sentence_with_one_full_stop():
    for rule in ("so it is", "so it is: said another."):
        assert str(TokenRefusedError.of(Denial("x", rule))).count(".") == 1

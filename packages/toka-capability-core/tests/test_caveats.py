import contextlib
import itertools
import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.capability.core import (
    MAX_EXTENSIONS,
    MAX_HOPS,
    MAX_WINDOWS,
    ActionHierarchy,
    Claims,
    Denial,
    ExpiresAt,
    Extension,
    Hop,
    InvalidClaimsError,
    MaxBudget,
    MaxDepth,
    MaxRate,
    NotBefore,
    OnlyAudience,
    OnlyDuring,
    OnlyHolder,
    OnlyPermissions,
    OnlyUntainted,
    TimeWindow,
    TokenRefusedError,
    check_limits,
    decode_caveats,
    decode_claims,
    encode_caveats,
    encode_claims,
    narrowed,
    strict_json,
    validate_claims,
    validate_for_issue,
)

NOW = 1_795_000_000  # 2026-11-18, a Wednesday, 11:06:40 UTC
KEY = "k" * 43
OPEN = TimeWindow("08:00", "17:00")
CLOSED = TimeWindow("22:00", "06:00")
CLAIMS = Claims(
    "alice",
    "default",
    ("fs:read:/data/**", "proc:run:git"),
    NOW,
    NOW + 3_600,
    "t1",
    not_before=NOW,
    audience=("a", "b"),
    untainted=("fs:write:/out/**",),
    budget=(("calls", 10), ("money", 5)),
    windows=(OPEN,),
    depth=3,
)


@pytest.mark.parametrize(
    ("caveat", "changes"),
    [
        (OnlyPermissions(("fs:read:/data/x",)), {"permissions": ("fs:read:/data/x",)}),
        (OnlyPermissions(()), {"permissions": (), "untainted": ()}),
        (OnlyPermissions((), ("proc:run:git",)), {"untainted": ("proc:run:git",)}),
        (ExpiresAt(NOW + 60), {"expires_at": NOW + 60}),
        (ExpiresAt(NOW + 3_600), {"expires_at": NOW + 3_600}),
        (NotBefore(NOW + 60), {"not_before": NOW + 60}),
        (OnlyDuring((TimeWindow("09:00", "10:00"),)), {"windows": (TimeWindow("09:00", "10:00"),)}),
        (OnlyAudience(("b",)), {"audience": ("b",)}),
        (MaxDepth(0), {"depth": 0}),
        (MaxBudget((("calls", 9),)), {"budget": (("calls", 9), ("money", 5))}),
        (MaxBudget((("tokens", 9),)), {"budget": (("calls", 10), ("money", 5), ("tokens", 9))}),
        (MaxRate(5, 60), {"rate": MaxRate(5, 60)}),
        (OnlyHolder(KEY), {"holder": KEY}),
        (Extension("acme", 1), {"extensions": (Extension("acme", 1),)}),
    ],
)
def test_a_caveat_narrows_its_member(caveat, changes):
    child = narrowed(CLAIMS, [caveat])
    for name, value in changes.items():
        assert getattr(child, name) == value
    check_limits(child)


@pytest.mark.parametrize(
    "caveat",
    [
        OnlyPermissions(("fs:write:/data/x",)),
        OnlyPermissions(("fs:write:/out/x",)),
        OnlyPermissions((), ("net:get:https://x.org/",)),
        OnlyPermissions(("fs:read:/**",)),
        OnlyPermissions(("FS:read:/data/x",)),
        ExpiresAt(NOW + 3_601),
        NotBefore(NOW - 1),
        NotBefore(10**30),
        OnlyDuring((CLOSED,)),
        OnlyDuring(()),
        OnlyDuring((TimeWindow("09:00", "10:00"), TimeWindow("11:00", "17:01"))),
        OnlyAudience(()),
        OnlyAudience(("b", "c")),
        MaxDepth(4),
        MaxBudget((("calls", 11),)),
    ],
)
def test_attack_4_2_02_a_caveat_that_would_widen_is_refused(caveat):
    claims = attrs.evolve(CLAIMS, expires_at=NOW + 86_400 - 1) if is_window(caveat) else CLAIMS
    with pytest.raises(TokenRefusedError):
        narrowed(claims, [caveat])


def is_window(caveat):
    return isinstance(caveat, OnlyDuring)


def test_a_key_that_binds_is_never_exchanged():
    bound = narrowed(CLAIMS, [OnlyHolder(KEY)])
    assert narrowed(bound, [OnlyHolder(KEY)]) == bound
    with pytest.raises(TokenRefusedError, match="another key"):
        narrowed(bound, [OnlyHolder("x" * 43)])


def test_what_a_tainted_subject_may_do_can_be_given_up():
    child = narrowed(CLAIMS, [OnlyUntainted()])
    assert child.permissions == ()
    assert child.untainted == (*CLAIMS.permissions, *CLAIMS.untainted)
    with pytest.raises(TokenRefusedError):
        narrowed(child, [OnlyPermissions(("proc:run:git",))])
    assert narrowed(child, [OnlyPermissions((), ("proc:run:git",))]).guarded.covers("proc:run:git")


def test_a_hierarchy_that_is_declared_counts():
    parent = attrs.evolve(CLAIMS, permissions=("fs:write:/data/**",))
    caveat = OnlyPermissions(("fs:read:/data/**",))
    with pytest.raises(TokenRefusedError):
        narrowed(parent, [caveat])
    hierarchy = ActionHierarchy.of([("fs", "write", "read")])
    assert narrowed(parent, [caveat], hierarchy).granted.covers("fs:read:/data/x")


def test_the_order_of_caveats_does_not_matter():
    caveats = [
        OnlyPermissions(("proc:run:git",)),
        OnlyUntainted(),
        ExpiresAt(NOW + 600),
        OnlyDuring((TimeWindow("11:00", "12:00"),)),
    ]
    found = {repr(narrowed(CLAIMS, order)) for order in itertools.permutations(caveats)}
    assert len(found) == 1


def test_windows_are_compared_over_the_life_that_is_left():
    parent = attrs.evolve(CLAIMS, windows=(TimeWindow("09:00", "17:00", "America/New_York"),))
    same_today = OnlyDuring((TimeWindow("14:00", "22:00"),))
    assert narrowed(parent, [same_today]).windows == same_today.windows
    summer = attrs.evolve(
        parent, issued_at=NOW - 150 * 86_400, expires_at=NOW - 149 * 86_400, not_before=None
    )
    with pytest.raises(TokenRefusedError, match="its parent is closed"):
        narrowed(summer, [same_today])


def test_closed_windows_refuse_and_an_issuer_may_mint_for_tonight():
    claims = attrs.evolve(CLAIMS, windows=(CLOSED,))
    validate_for_issue(claims, NOW)
    with pytest.raises(InvalidClaimsError) as caught:
        validate_claims(claims, NOW)
    assert caught.value.code == "capability.outside_window"
    validate_claims(CLAIMS, NOW)


def test_attack_4_2_18_an_extension_that_nobody_knows_refuses():
    claims = attrs.evolve(CLAIMS, extensions=(Extension("acme", {"limit": 3}),))
    with pytest.raises(InvalidClaimsError) as caught:
        validate_claims(claims, NOW)
    assert caught.value.code == "capability.unknown_caveat"


def test_an_extension_is_judged_by_its_rule():
    claims = attrs.evolve(CLAIMS, extensions=(Extension("acme", {"limit": 3}),))
    seen = []

    def rule(data, claims, now):
        seen.append((data, claims.subject, now))
        return Denial(code="acme.no", rule="no") if data == {"limit": 2} else None

    validate_claims(claims, NOW, extensions={"acme": rule})
    assert seen == [({"limit": 3}, "alice", NOW)]
    refused = attrs.evolve(claims, extensions=(Extension("acme", {"limit": 2}),))
    with pytest.raises(InvalidClaimsError) as caught:
        validate_claims(refused, NOW, extensions={"acme": rule})
    assert caught.value.code == "acme.no"


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": -1},
        {"depth": MAX_HOPS + 1},
        {"depth": True},
        {"windows": (OPEN,) * (MAX_WINDOWS + 1)},
        {"rate": MaxRate(1, 0)},
        {"rate": MaxRate(-1, 1)},
        {"rate": MaxRate(10_001, 1)},
        {"rate": MaxRate(1, 86_401)},
        {"holder": ""},
        {"holder": "x" * 42},
        {"holder": "x" * 42 + "="},
        {"extensions": (Extension(" ", 1),)},
        {"extensions": tuple(Extension(f"e{n}") for n in range(MAX_EXTENSIONS + 1))},
    ],
)
def test_restrictions_have_limits(changes):
    with pytest.raises(InvalidClaimsError):
        check_limits(attrs.evolve(CLAIMS, **changes))


def test_what_is_valid_now_says_until_when():
    assert CLAIMS.valid_until(NOW) == NOW + 3_600
    longer = attrs.evolve(CLAIMS, expires_at=NOW + 86_400)
    assert longer.valid_until(NOW) == NOW - NOW % 86_400 + 17 * 3_600
    assert attrs.evolve(CLAIMS, windows=()).valid_until(NOW) == NOW + 3_600
    assert attrs.evolve(CLAIMS, extensions=(Extension("acme"),)).valid_until(NOW) == NOW


def test_a_token_straight_from_its_issuer_has_one_account():
    assert CLAIMS.accounts == (Hop("t1", "alice", CLAIMS.budget, None),)


def test_the_claims_of_a_chain_are_not_a_token():
    with pytest.raises(InvalidClaimsError, match="chain"):
        encode_claims(attrs.evolve(CLAIMS, chain=(Hop("t1", "alice"),)))


def test_restrictions_survive_the_wire():
    claims = attrs.evolve(
        CLAIMS,
        windows=(OPEN, TimeWindow("22:00", "06:00", "Europe/Berlin", (1, 5))),
        rate=MaxRate(3, 60),
        holder=KEY,
        extensions=(Extension("acme", {"a": [1, None, "x"]}), Extension("b", None)),
    )
    assert decode_claims(encode_claims(claims)) == claims


ALL = (
    OnlyPermissions(("fs:read:/data/x",), ("proc:run:git",)),
    OnlyUntainted(),
    ExpiresAt(NOW + 60),
    NotBefore(NOW + 5),
    OnlyDuring((TimeWindow("22:00", "06:00", "Europe/Berlin", (1, 5)),)),
    OnlyAudience(("b",)),
    MaxDepth(0),
    MaxBudget((("calls", 9), ("money", 1))),
    MaxRate(5, 60),
    OnlyHolder(KEY),
    Extension("acme", {"limit": 3}),
    Extension("other"),
)


def test_every_caveat_survives_the_wire():
    wire = json.loads(json.dumps(encode_caveats(ALL)))
    assert set(decode_caveats(wire)) == set(ALL)
    assert len(decode_caveats(wire)) == len(ALL)


@pytest.mark.parametrize("name", ["", "sub", "third_party", "exp ", "EXP", "iss", "jti"])
def test_attack_4_2_18_a_caveat_that_nobody_knows_refuses(name):
    with pytest.raises(TokenRefusedError) as caught:
        decode_caveats({name: 1})
    assert caught.value.code == "capability.unknown_caveat"


@pytest.mark.parametrize(
    "members",
    [
        {"permissions": None},
        {"permissions": [1]},
        {"untainted": ["proc:run:git"]},
        {"permissions": [], "untainted": []},
        {"only_untainted": False},
        {"only_untainted": 1},
        {"exp": True},
        {"exp": "1"},
        {"aud": []},
        {"aud": "b"},
        {"windows": []},
        {"windows": [{}]},
        {"windows": {}},
        {"windows": [{"start": "08:00", "end": "09:00"}]},
        {"windows": [{"start": "08:00", "end": "09:00", "zone": "UTC", "days": []}]},
        {"windows": [{"start": "08:00", "end": "09:00", "zone": "UTC", "days": [True]}]},
        {"windows": [{"start": "08:00", "end": "09:00", "zone": "UTC", "day": [1]}]},
        {"depth": None},
        {"budget": {}},
        {"budget": {"calls": "1"}},
        {"rate": {"calls": 1}},
        {"rate": {"calls": 1, "seconds": 1, "burst": 1}},
        {"cnf": {"jwk": {}}},
        {"cnf": KEY},
        {"ext": {}},
        {"ext": []},
    ],
)
def test_a_caveat_that_is_not_well_formed_refuses(members):
    with pytest.raises(TokenRefusedError):
        decode_caveats(members)


@pytest.mark.parametrize(
    "caveats",
    [
        [ExpiresAt(1), ExpiresAt(2)],
        [Extension("a", 1), Extension("a", 2)],
        [OnlyPermissions(()), OnlyPermissions(("proc:run:git",))],
    ],
)
def test_one_hop_restricts_a_thing_once(caveats):
    with pytest.raises(InvalidClaimsError, match="twice"):
        encode_caveats(caveats)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
names = st.sampled_from(sorted({caveat.member for caveat in ALL} | {"untainted", "x"}))


@given(st.dictionaries(names, json_values, max_size=4))
def test_any_json_becomes_caveats_or_the_one_exception(members):
    with contextlib.suppress(TokenRefusedError):
        narrowed(CLAIMS, decode_caveats(members))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_become_json_or_the_one_exception(data):
    with contextlib.suppress(TokenRefusedError):
        strict_json(data)


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=40))
def test_any_texts_become_a_window_or_the_one_exception(start, end, zone):
    with contextlib.suppress(TokenRefusedError):
        decode_caveats({"windows": [{"start": start, "end": end, "zone": zone}]})

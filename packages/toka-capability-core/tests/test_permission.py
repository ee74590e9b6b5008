import pickle
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toka.capability.core import (
    MAX_PERMISSION_BYTES,
    Permission,
    PermissionSyntaxError,
    Request,
)


def covers(permission, request):
    return Permission.parse(permission).covers(Request.parse(request))


@pytest.mark.parametrize(
    ("permission", "request_"),
    [
        ("fs:read:/data/x", "fs:read:/data/x"),
        ("fs:read:/data/**", "fs:read:/data/x"),
        ("fs:read:/data/**", "fs:read:/data/a/b/c"),
        ("fs:read:/data/**", "fs:read:/data"),
        ("fs:read:/**", "fs:read:/"),
        ("fs:read:/**", "fs:read:/etc/passwd"),
        ("fs:read:**", "fs:read:/etc/passwd"),
        ("fs:read:/data/*", "fs:read:/data/x"),
        ("fs:read:/data/*.txt", "fs:read:/data/.txt"),
        ("fs:read:/data/a*b*c", "fs:read:/data/aXbXbXc"),
        ("fs:read:/**/*.py", "fs:read:/a/b/c.py"),
        ("fs:read:/**/*.py", "fs:read:/c.py"),
        ("fs:read:/a/**/z", "fs:read:/a/z"),
        ("fs:*:/data/**", "fs:write:/data/x"),
        ("proc:run:*", "proc:run:git"),
        ("net:get:https://api.example.com/**", "net:get:https://api.example.com/"),
        ("net:get:https://api.example.com/**", "net:get:https://api.example.com/v1/"),
        ("net:get:https://*.example.com/**", "net:get:https://api.example.com/v1"),
        ("net:get:https://*/health", "net:get:https://example.com:8443/health"),
        ("net:get:https://example.com:*/**", "net:get:https://example.com:8443/x"),
        ("net:get:https://**", "net:get:https://example.com/x"),
        ("fs:read:/data/a*b", "fs:read:/data/a%20%C3%A9b"),
    ],
)
def test_a_permission_covers_what_it_says(permission, request_):
    assert covers(permission, request_)


@pytest.mark.parametrize(
    ("permission", "request_"),
    [
        ("fs:read:/data/x", "fs:read:/data/xy"),
        ("fs:read:/data/x", "fs:read:/data"),
        ("fs:read:/data/**", "fs:read:/database"),
        ("fs:read:/data/**", "fs:read:/"),
        ("fs:read:/data/**", "fs:write:/data/x"),
        ("fs:read:/data/**", "fsx:read:/data/x"),
        ("fs:read:/data/*", "fs:read:/data/a/b"),
        ("fs:read:/data/*", "fs:read:/data"),
        ("fs:read:*", "fs:read:/data"),
        ("proc:run:*", "proc:run:/usr/bin/git"),
        ("fs:read:/data/ab*ba", "fs:read:/data/aba"),
        ("fs:read:/data/*aa*aa*", "fs:read:/data/aaa"),
        ("fs:read:/a/**/z", "fs:read:/a/b/zz"),
        ("net:get:https://api.example.com/**", "net:get:https://api.example.com.evil.com/x"),
        ("net:get:https://api.example.com/**", "net:get:https://api.example.com:8443/x"),
        ("net:get:https://api.example.com/**", "net:get:http://api.example.com/x"),
        ("net:get:https://*.example.com/**", "net:get:https://example.com/x"),
        ("net:get:https://*.example.com/**", "net:get:https://evilexample.com/x"),
        ("net:get:https://*.example.com/**", "net:get:https://a.example.com.evil.com/x"),
        ("net:get:https://*.example.com/**", "net:get:https://evil.com/a.example.com/x"),
        # An escape is one character: '%20' ends in no '0'.
        ("fs:read:/data/*0", "fs:read:/data/a%20"),
        ("fs:read:/data/a%25*", "fs:read:/data/a%20"),
    ],
)
def test_a_permission_covers_nothing_else(permission, request_):
    assert not covers(permission, request_)


@pytest.mark.parametrize(
    "text",
    [
        "fs.re\u0430d",  # a Cyrillic letter that looks like a
        "fs:re\u0430d:/x",
        "\uff46s:read:/x",
        "fs:read\u200b:/x",
        "FS:READ:/x",
        "Fs:read:/x",
        " fs:read:/x",
        "fs:read:/x ",
        "fs:read:/x\n",
        "fs..read",
        "fs.*.",
        "*",
        "",
        "*:read:/x",
        "fs:rea*:/x",
        "fs:**:/x",
        "fs:read",
        "fs::/x",
        ":read:/x",
        "fs:read:",
        "1fs:read:/x",
        "fs:read:/\u0663",
    ],
)
def test_attack_4_1_15_a_permission_out_of_the_grammar_is_refused(text):
    for kind in (Permission, Request):
        with pytest.raises(PermissionSyntaxError):
            kind.parse(text)


def test_attack_4_1_14_a_permission_has_at_most_512_bytes():
    longest = "fs:read:/".ljust(MAX_PERMISSION_BYTES, "x")
    assert str(Permission.parse(longest)) == longest
    assert Request.parse(longest).text == longest
    for kind in (Permission, Request):
        with pytest.raises(PermissionSyntaxError, match="513 characters"):
            kind.parse(longest + "x")


@pytest.mark.parametrize("text", ["fs:read:/data/*", "fs:*:/data/x", "fs:read:**"])
def test_a_request_has_no_wildcard(text):
    with pytest.raises(PermissionSyntaxError, match="wildcard"):
        Request.parse(text)


def test_permissions_are_values():
    left, right = Permission.parse("fs:read:/x"), Permission("fs:read:/x")
    assert left == right
    assert hash(left) == hash(right)
    assert pickle.loads(pickle.dumps(left)).covers(Request.parse("fs:read:/x"))  # noqa: S301
    assert (left.domain, left.action, left.resource) == ("fs", "read", "/x")
    with pytest.raises(AttributeError):
        left.text = "fs:read:/**"  # type: ignore[misc]


# What follows holds the automaton against the definition, written as plainly as can be.

LETTERS = "ab"
SEGMENTS = ["".join(letters) for size in (1, 2) for letters in product(LETTERS, repeat=size)]
UNIVERSE = [
    Request.parse(f"x:do:{lead}{'/'.join(path)}")
    for size in (1, 2, 3)
    for path in product(SEGMENTS, repeat=size)
    for lead in ("", "/")
]


@cache
def reference_glob(pattern, text):
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(reference_glob(pattern[1:], text[i:]) for i in range(len(text) + 1))
    return text[:1] == pattern[0] and reference_glob(pattern[1:], text[1:])


@cache
def reference(pattern, segments):
    if not pattern:
        return not segments
    if pattern[0] == "**":
        return any(reference(pattern[1:], segments[i:]) for i in range(len(segments) + 1))
    if not segments or not reference_glob(pattern[0], segments[0]):
        return False
    return reference(pattern[1:], segments[1:])


segments = st.one_of(
    st.just("**"),
    st.text(alphabet="ab*", min_size=1, max_size=5).filter(lambda text: "**" not in text),
)


@st.composite
def patterns(draw):
    path = draw(st.lists(segments, min_size=1, max_size=4))
    single = [part for i, part in enumerate(path) if part != "**" or path[i - 1 : i] != ["**"]]
    return Permission.parse("x:do:" + draw(st.sampled_from(["", "/"])) + "/".join(single))


@settings(max_examples=300, deadline=None)
@given(patterns())
def test_covering_a_request_is_what_the_definition_says(pattern):
    parts = tuple(pattern.resource.split("/"))
    for request in UNIVERSE:
        expected = reference(parts, tuple(request.resource.split("/")))
        assert pattern.covers(request) == expected, (str(pattern), str(request))


@settings(max_examples=500, deadline=None)
@given(patterns(), patterns())
def test_a_pattern_covers_another_only_if_it_covers_all_that_it_covers(wide, narrow):
    if wide.covers(narrow):
        for request in UNIVERSE:
            assert wide.covers(request) or not narrow.covers(request)


@settings(max_examples=300, deadline=None)
@given(patterns(), patterns(), patterns())
def test_covering_is_reflexive_and_transitive(first, second, third):
    assert first.covers(first)
    if first.covers(second) and second.covers(third):
        assert first.covers(third)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("fs:read:/data/**", "fs:read:/data/a/**"),
        ("fs:read:/data/**", "fs:read:/data/*.txt"),
        ("fs:read:/data/*", "fs:read:/data/a*"),
        ("fs:read:/data/a*", "fs:read:/data/ab*"),
        ("fs:*:/**", "fs:*:/data/**"),
        ("net:get:https://*.example.com/**", "net:get:https://*.api.example.com/v1/*"),
        ("fs:read:/**/b/**", "fs:read:/a/b/**/c"),
    ],
)
def test_a_wider_pattern_covers_a_narrower_one_and_never_the_reverse(wide, narrow):
    assert Permission.parse(wide).covers(Permission.parse(narrow))
    assert not Permission.parse(narrow).covers(Permission.parse(wide))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("fs:read:/data/*", "fs:read:/data/**"),
        ("fs:read:/data/x", "fs:read:/data/*"),
        ("fs:read:/data/**", "fs:*:/data/**"),
        ("fs:read:/data/**", "fs:read:/**/data"),
        ("fs:read:/a/**/b", "fs:read:/a/**"),
        ("fs:read:/*", "fs:read:/**"),
    ],
)
def test_a_narrower_pattern_does_not_cover(left, right):
    assert not Permission.parse(left).covers(Permission.parse(right))


def test_a_hostile_pattern_costs_linear_time(cpu_seconds):
    pattern = Permission.parse("fs:read:" + "/**/a*a*a*a*a" * 2 + "/**/" + "a/" * 100 + "b")
    request = Request.parse("fs:read:" + "/a" * 250)
    with cpu_seconds() as spent:
        for _ in range(20):
            assert not pattern.covers(request)
    assert spent() < 20 * 0.01

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.capability.core import Permission, PermissionSyntaxError, Request, quote_resource


@pytest.mark.parametrize(
    "resource",
    [
        "/",
        "/data/x.txt",
        "/data/...",
        "/data/.hidden",
        "/a#b?c",
        "git",
        "anthropic/claude-opus-4",
        "01JD3X8ZK5Q6T7V8W9XAYBZCDE/inventory",
        "01JD3X8ZK5Q6T7V8W9XAYBZCDE#0",
        "api.example.com:443",
        "https://api.example.com",
        "https://api.example.com/",
        "https://api.example.com/v1/",
        "https://api.example.com:8443/v1/a%20b",
        "https://[2001:db8::1]:8443/v1",
        "s3://my_bucket/key",
        "/data/a%20b%C3%A9",
        "/data/%2A%25%5C",
    ],
)
def test_a_resource_in_the_grammar_is_accepted_as_it_is(resource):
    assert str(Request.parse(f"x:do:{resource}")) == f"x:do:{resource}"
    assert str(Permission.parse(f"x:do:{resource}")) == f"x:do:{resource}"


@pytest.mark.parametrize(
    "resource",
    [
        "",
        "//",
        "/data/",
        "data/",
        "/data//x",
        "//data",
        "/data/./x",
        "/data/../etc",
        "..",
        ".",
        "../x",
        "/data/..",
        "/data/x\\..\\y",
        "/a b",
        "/é",
        "/a\n",
        "/a\x00",
        "/a\x7f",
    ],
)
def test_a_path_that_could_mean_another_is_refused(resource):
    for kind in (Request, Permission):
        with pytest.raises(PermissionSyntaxError):
            kind.parse(f"fs:read:{resource}")


@pytest.mark.parametrize(
    "resource",
    [
        "/data/%2e%2e/x",
        "/data/%2E%2E/x",
        "/data/.%2E/x",
        "/data/a%2Fb",
        "/data/a%2fb",
        "/data/%00",
        "/data/%41",
        "/data/%7E",
        "/data/%5F",
        "/data/%",
        "/data/%2",
        "/data/%zz",
        "/data/%c3%a9",
        "https://h/%5C..%5Cx",
    ],
)
def test_an_escape_that_is_not_the_one_spelling_is_refused(resource):
    for kind in (Request, Permission):
        with pytest.raises(PermissionSyntaxError):
            kind.parse(f"fs:read:{resource}")


@pytest.mark.parametrize(
    "url",
    [
        "HTTPS://api.example.com/x",
        "https://API.example.com/x",
        "https://user@api.example.com/x",
        "https://api.example.com@evil.com/x",
        "https://api.example.com:/x",
        "https://api.example.com:443443/x",
        "https://evil.com?.example.com/x",
        "https://evil.com#.example.com/x",
        "https://evil.com\\.example.com/x",
        "https://evil.com%2F.example.com/x",
        "https://..",
        "https://../x",
        "https://",
        "https:///x",
        "https:/api.example.com/x",
        "https:///api.example.com/x",
        "https://api.example.com//x",
        "https://api.example.com/x//",
        "https://api.example.com/x?q=1",
        "https://api.example.com/x#y",
        "https://api.example.com/a/../b",
        "https://api.example.com/a/%2e%2E/b",
        "file:///etc/passwd",
        "://h/x",
        "a/https://h/x",
    ],
)
def test_a_url_that_two_programs_could_read_differently_is_refused(url):
    for kind in (Request, Permission):
        with pytest.raises(PermissionSyntaxError):
            kind.parse(f"net:get:{url}")


@pytest.mark.parametrize(
    "pattern",
    [
        "/a**",
        "/**a",
        "/***",
        "/**/**",
        "/**/**/x",
        "https://api.example.com*/x",
        "https://api*.example.com/x",
        "https://*example.com/x",
        "https://a.*.com/x",
        "*://api.example.com/x",
        "http*://api.example.com/x",
        "/" + "*/" * 16 + "*",
    ],
)
def test_a_pattern_that_grants_more_than_it_seems_is_refused(pattern):
    with pytest.raises(PermissionSyntaxError):
        Permission.parse(f"net:get:{pattern}")


@given(st.text())
def test_quoting_gives_a_resource_or_one_that_is_refused_for_its_path(text):
    try:
        quoted = quote_resource(text)
    except PermissionSyntaxError:
        assert any("\ud800" <= letter <= "\udfff" for letter in text)
        return
    assert quoted.isascii()
    assert "*" not in quoted
    try:
        request = Request.parse(f"x:do:{quoted}")
    except PermissionSyntaxError:
        return
    assert request.resource == quoted


@given(st.text(), st.text())
def test_quoting_keeps_different_texts_different(left, right):
    try:
        same = quote_resource(left) == quote_resource(right)
    except PermissionSyntaxError:
        return
    # A surrogate escape stands for the byte that other text may have as part of its encoding.
    assert same == (os.fsencode(left) == os.fsencode(right))


@given(st.binary().map(os.fsdecode))
def test_any_path_of_the_file_system_can_be_quoted(path):
    assert quote_resource(path).isascii()


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("/a b", "/a%20b"),
        ("/é", "/%C3%A9"),
        ("/\udcff", "/%FF"),
        ("/100%*", "/100%25%2A"),
        ("/a\\b", "/a%5Cb"),
        ("/plain~!$&'()+,;=@:", "/plain~!$&'()+,;=@:"),
    ],
)
def test_quoting_escapes_only_what_needs_it(text, quoted):
    assert quote_resource(text) == quoted
    Request.parse(f"fs:read:{quoted}")


def test_quoting_does_not_hide_a_way_up():
    with pytest.raises(PermissionSyntaxError):
        Request.parse("fs:read:" + quote_resource("/data/../etc/passwd"))


def test_quoting_refuses_a_lone_surrogate():
    with pytest.raises(PermissionSyntaxError):
        quote_resource("/\ud800")

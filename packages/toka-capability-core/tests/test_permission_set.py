import statistics
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.capability.core import (
    MAX_CACHED_ANSWERS,
    ActionHierarchy,
    Permission,
    PermissionSet,
    PermissionSyntaxError,
    Request,
)


def test_an_empty_set_grants_nothing():
    assert PermissionSet().covers("fs:read:/x") is None
    assert len(PermissionSet()) == 0


def test_the_first_permission_that_grants_is_named():
    granted = PermissionSet.parse(["fs:write:/a/**", "fs:read:/a/**", "fs:*:/**"])
    assert granted.covers("fs:read:/a/x") == Permission.parse("fs:read:/a/**")
    assert granted.covers(Request.parse("fs:list:/a/x")) == Permission.parse("fs:*:/**")
    assert granted.covers("net:get:https://h/") is None


def test_an_answer_is_the_same_when_asked_again():
    granted = PermissionSet.parse(["fs:read:/a/**"])
    for _ in range(2):
        assert granted.covers("fs:read:/a/x") is not None
        assert granted.covers("fs:read:/b") is None


@pytest.mark.parametrize("text", ["fs:read:/a/../b", "fs:read:/a/*", "nonsense", ""])
def test_text_that_is_no_request_is_refused_each_time(text):
    granted = PermissionSet.parse(["fs:read:/**"])
    for _ in range(2):
        with pytest.raises(PermissionSyntaxError):
            granted.covers(text)


def test_a_pattern_may_be_asked_about_without_becoming_a_request():
    granted = PermissionSet.parse(["fs:read:/a/**"])
    assert granted.covers(Permission.parse("fs:read:/a/*")) is not None
    with pytest.raises(PermissionSyntaxError):
        granted.covers("fs:read:/a/*")


def test_write_grants_read_only_where_somebody_declared_it():
    plain = PermissionSet.parse(["fs:write:/a/**"])
    assert plain.covers("fs:read:/a/x") is None

    hierarchy = ActionHierarchy.of([("fs", "write", "read")])
    declared = PermissionSet.parse(["fs:write:/a/**", "db:write:t"], hierarchy)
    assert declared.covers("fs:read:/a/x") is not None
    assert declared.covers("db:read:t") is None
    assert PermissionSet.parse(["fs:read:/a/**"], hierarchy).covers("fs:write:/a/x") is None


def test_every_action_is_granted_by_a_star_only():
    granted = PermissionSet.parse(["fs:read:/a/**", "fs:write:/a/**"])
    assert granted.covers(Permission.parse("fs:*:/a/x")) is None


def test_one_set_covers_another_if_each_permission_is_covered_by_one():
    wide = PermissionSet.parse(["fs:read:/a/**", "proc:run:*"])
    assert wide.covers_all(PermissionSet.parse(["fs:read:/a/b/**", "proc:run:git"]))
    assert wide.covers_all(PermissionSet())
    assert not wide.covers_all(PermissionSet.parse(["fs:read:/a/b", "fs:read:/b"]))
    assert not PermissionSet().covers_all(wide)


def test_remembered_answers_are_bounded():
    granted = PermissionSet.parse(["fs:read:/a/**"])
    for number in range(MAX_CACHED_ANSWERS * 2 + 1):
        assert granted.covers(f"fs:read:/a/{number}") is not None
    assert 0 < len(granted._answers) <= MAX_CACHED_ANSWERS


def test_threads_get_the_answers_that_one_thread_gets():
    granted = PermissionSet.parse(["fs:read:/even/**"])
    texts = [f"fs:read:/{'even' if n % 2 == 0 else 'odd'}/{n}" for n in range(3_000)]
    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(lambda _: [granted.covers(text) for text in texts], range(8)):
            assert [answer is not None for answer in answers] == [n % 2 == 0 for n in range(3_000)]


@given(st.lists(st.sampled_from(["fs:read:/a/**", "fs:*:/b", "fs:write:/a/*"])), st.integers(0, 1))
def test_a_set_grants_what_one_of_its_permissions_grants(texts, index):
    request = Request.parse(["fs:write:/a/x", "fs:read:/b"][index])
    by_each = any(Permission.parse(text).covers(request) for text in texts)
    assert (PermissionSet.parse(texts).covers(request) is not None) == by_each


def test_a_hundred_permissions_answer_a_new_request_in_fifty_microseconds(cpu_seconds):
    texts = [f"fs:read:/data/{number}/**" for number in range(99)]
    granted = PermissionSet.parse([*texts, "fs:read:/data/last/*.txt"])
    rounds = []
    for turn in range(7):
        with cpu_seconds() as spent:
            for number in range(200):
                assert granted.covers(f"fs:read:/data/last/{turn}-{number}.txt") is not None
        rounds.append(spent() / 200)
    assert statistics.median(rounds) < 50e-6

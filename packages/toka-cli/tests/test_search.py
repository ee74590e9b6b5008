"""`toka search` over the log of a real run."""

import fcntl

import pytest


@pytest.mark.usefixtures("data")
def test_events_are_found_by_what_they_are_about(toka):
    result = toka("search", "count the files", "--limit", "3")
    assert result.status == 0
    first = result.out.split()[0]
    assert f"toka explain {first}" in result.out
    assert toka("explain", first).status == 0


@pytest.mark.usefixtures("data")
def test_a_hit_says_where_when_and_what(toka):
    hits = toka("search", "count the files", "--json").json
    assert hits
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert {"position", "kind", "stream", "time", "actor", "snippet", "similarity"} <= set(hits[0])


@pytest.mark.usefixtures("data")
def test_hits_are_chosen(toka):
    (run,) = toka("status", "--json").json
    kinds = toka("search", "count", "--kind", "task.", "--json").json
    assert {hit["kind"].split(".")[0] for hit in kinds} == {"task"}
    of_run = toka("search", "count", "--run", run["run"], "--json").json
    assert {hit["intent"] for hit in of_run} == {run["run"]}
    assert toka("search", "count", "--since", "2100-01-01").status == 1
    assert toka("search", "count", "--until", "2020-01-01").status == 1
    assert toka("search", "count", "--until", "2100-01-01").status == 0


@pytest.mark.usefixtures("data")
def test_nothing_that_fits_is_said(toka):
    result = toka("search", "zzyzx")
    assert result.status == 1
    assert "Nothing in this log fits." in result.err
    assert toka("search", "zzyzx", "--json").json == []


def test_the_index_is_kept_and_used_again(toka, data):
    first = toka("search", "count the files").out
    assert (data / "search" / "hashing" / "catalog.db").exists()
    assert toka("search", "count the files").out == first


def test_the_log_is_not_changed(toka, data):
    def log():
        return {path.name: path.read_bytes() for path in data.glob("log.db*")}

    before = log()
    toka("search", "count the files")
    assert log() == before


def test_an_index_in_use_is_done_without(toka, data):
    expected = toka("search", "count the files").out
    with (data / "search" / "hashing" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = toka("search", "count the files")
    assert result.status == 0
    assert result.out == expected
    assert "The search goes on without it." in result.err


def test_without_a_log_there_is_nothing_to_search(toka):
    assert toka("search", "anything").status == 2

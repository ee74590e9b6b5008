"""`toka store`: logs checked, copied, backed up, made smaller, repaired."""

import sqlite3
from contextlib import closing

import anyio
import pytest

from toka.store.core import Snapshot, open_store
from toka.store.core.testing import EventSource


@pytest.fixture
def run(tmp_path) -> str:
    """Return the address of a store with a snapshot."""
    url = f"sqlite:{tmp_path / 'run.db'}"

    async def fill() -> None:
        async with await open_store(url) as store:
            await store.append(EventSource().several(300))
            await store.append([EventSource(1).new(payload=b"x" * 9_000)])
            await store.save_snapshot(Snapshot("report", 10, b"", b""))

    anyio.run(fill)
    return url


@pytest.mark.usefixtures("data")
def test_the_log_of_a_run_verifies(toka):
    result = toka("store", "verify")
    assert result.status == 0
    assert "every byte is as it was written" in result.out
    told = toka("store", "verify", "--json").json
    assert told["ok"]
    assert told["problems"] == []
    assert told["events"] == told["head"]["position"] == len(toka("events").out.splitlines())


def test_a_changed_byte_is_named_with_its_position(toka, run, tmp_path):
    with closing(sqlite3.connect(tmp_path / "run.db")) as connection:
        connection.execute("UPDATE event SET time = time + 1 WHERE position = 7")
        connection.execute("UPDATE event SET digest = zeroblob(32) WHERE position = 9")
        connection.commit()
    result = toka("store", "verify", "--store", run)
    assert result.status == 1
    assert "position 7" in result.out
    told = toka("store", "verify", "--store", run, "--json").json
    assert not told["ok"]
    assert 9 in [problem["position"] for problem in told["problems"]]


def test_a_store_is_described(toka, run):
    told = toka("store", "stats", "--store", run, "--json").json
    assert (told["events"], told["compacted"], told["shared_payloads"]) == (301, 0, 1)
    assert told["stored_bytes"] > 9_000
    assert "301 events" in toka("store", "stats", "--store", run).out


def test_a_copy_is_proved_and_goes_on(toka, run, tmp_path):
    target = f"sqlite:{tmp_path / 'copy.db'}"
    told = toka("store", "copy", run, target, "--json").json
    assert told["copied"] == 301
    assert told["head"] == toka("store", "verify", "--store", target, "--json").json["head"]
    again = toka("store", "copy", run, target)
    assert again.status == 0
    assert "0 events copied" in again.out


def test_a_copy_onto_another_log_is_refused(toka, run, data):
    before = (data / "log.db").read_bytes()
    result = toka("store", "copy", run, f"sqlite:{data / 'log.db'}")
    assert result.status == 3
    assert "[store.not_a_prefix]" in result.err
    assert toka("store", "verify").status == 0
    assert len(before) == (data / "log.db").stat().st_size


def test_a_copy_of_nothing_makes_nothing(toka, tmp_path):
    result = toka("store", "copy", "sqlite:missing.db", "sqlite:target.db")
    assert result.status == 3
    assert "[store.missing]" in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("data")
def test_a_backup_is_a_store(toka, tmp_path):
    told = toka("store", "backup", tmp_path / "friday.db", "--json").json
    assert told["location"] == f"sqlite:{tmp_path / 'friday.db'}"
    verified = toka("store", "verify", "--store", told["location"], "--json").json
    assert verified["head"] == told["head"]
    again = toka("store", "backup", tmp_path / "friday.db")
    assert again.status == 2
    assert "[store.exists]" in again.err


def test_payloads_under_a_snapshot_are_dropped(toka, run):
    told = toka("store", "compact", "--store", run, "--snapshot", "report", "--json").json
    assert (told["position"], told["events"]) == (10, 10)
    assert toka("store", "verify", "--store", run).status == 0
    assert toka("store", "stats", "--store", run, "--json").json["compacted"] == 10
    refused = toka("store", "compact", "--store", run, "--snapshot", "nothing")
    assert refused.status == 2
    assert "[store.unknown_snapshot]" in refused.err
    copied = toka("store", "copy", run, "memory:")
    assert "[store.payload_dropped]" in copied.err or "[store.unknown_scheme]" in copied.err


def test_what_no_backend_can_do_is_a_usage_error(toka, run):
    for arguments, code in (
        (("repair", run), "store.unsupported"),
        (("verify", "--store", "nothing:x"), "store.unknown_scheme"),
        (("verify", "--store", "sqlite:x?y=1"), "store.invalid_location"),
    ):
        result = toka("store", *arguments)
        assert result.status == 2
        assert f"[{code}]" in result.err


def test_a_damaged_store_is_repaired_where_the_backend_can(toka, tmp_path):
    pytest.importorskip("toka.store.sled", reason="the backend that has a repair")
    url = f"sled:{tmp_path / 'run'}"

    async def fill() -> None:
        async with await open_store(url) as store:
            await store.append(EventSource().several(20))

    anyio.run(fill)
    told = toka("store", "repair", url, "--json").json
    assert told["lost"] == []
    assert told["head"] == toka("store", "verify", "--store", url, "--json").json["head"]


def test_a_terminal_sees_how_far_it_is(toka, run, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    result = toka("store", "verify", "--store", run)
    assert "verifying 301 of 301 events" in result.err
    assert "verifying" not in toka("store", "verify", "--store", run, "--json").err

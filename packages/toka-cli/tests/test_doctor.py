"""`toka doctor`: finds what is wrong, with a remedy for each, and writes nothing."""

import json
from importlib.metadata import distributions

import pytest

from toka.cli import _checks


def by_check(result) -> dict:
    return {finding["check"]: finding for finding in result.json}


@pytest.mark.usefixtures("data")
def test_a_healthy_directory(toka):
    result = toka("doctor")
    assert result.status == 0
    findings = by_check(toka("doctor", "--json"))
    assert {finding["state"] for finding in findings.values()} <= {"ok", "note"}
    assert "every link of the chain holds" in findings["log"]["text"]


def test_where_nothing_was_ever_run(toka, tmp_path):
    result = toka("doctor")
    assert result.status == 0
    assert "nothing was ever run" in result.out
    assert not (tmp_path / ".toka").exists()


def test_unfinished_runs_are_told(toka, asking):
    toka("run", asking)
    findings = by_check(toka("doctor", "--json"))
    assert findings["runs"]["text"] == "1 run not ended."
    assert "toka serve" in findings["runs"]["remedy"]


@pytest.mark.usefixtures("data")
def test_little_space_is_a_fault(toka, monkeypatch):
    monkeypatch.setattr(_checks, "LOW_SPACE", 2**80)
    result = toka("doctor", "--json")
    assert result.status == 1
    assert by_check(result)["disk"]["state"] == "fault"


@pytest.mark.usefixtures("data")
def test_distributions_of_different_versions_are_a_fault(toka, monkeypatch):
    class Odd:
        name, version = "toka-odd", "0.1.0"

    monkeypatch.setattr(_checks, "distributions", lambda: [*distributions(), Odd])
    result = toka("doctor", "--json")
    assert result.status == 1
    assert "toka-odd 0.1.0" in by_check(result)["versions"]["text"]


def test_a_service_file_that_was_left_is_a_note(toka, data):
    (data / "serve.json").write_text(json.dumps({"url": "http://x", "pid": 2**22 + 1}))
    result = toka("doctor", "--json")
    assert result.status == 0
    assert "gone" in by_check(result)["service"]["text"]


@pytest.mark.parametrize("name", ["log.db.head", "keys/token.key"])
def test_every_fault_has_a_remedy(toka, data, name):
    (data / name).write_bytes(b"x")
    findings = [each for each in toka("doctor", "--json").json if each["state"] == "fault"]
    assert findings
    assert all(finding["remedy"] for finding in findings)

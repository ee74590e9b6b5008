"""Commands that only look: status, agents, events, replay, explain."""

import json

import pytest


@pytest.mark.usefixtures("data")
def test_status_shows_runs(toka):
    result = toka("status")
    assert result.status == 0
    assert "completed" in result.out
    assert "1 of 1 agent" in result.out
    (row,) = toka("status", "--json").json
    assert (row["state"], row["steps"], row["agents_ended"]) == ("completed", 2, 1)


def test_status_shows_what_was_interrupted(toka, asking):
    toka("run", asking)
    (row,) = toka("status", "--json").json
    assert (row["state"], row["approvals"]) == ("interrupted", 1)
    assert "1 question to answer" in toka("status").out


@pytest.mark.usefixtures("data")
def test_agents_shows_the_newest_run(toka):
    (row,) = toka("agents", "--json").json
    assert row["agent"]["name"] == "counter"
    assert any(each.startswith("fs:read:") for each in row["permissions"])
    assert row["tasks"][0]["state"] == "completed"
    run = row["agent"]["run"]
    assert toka("agents", run).out == toka("agents").out
    assert "may fs:read:" in toka("agents").out


@pytest.mark.usefixtures("data")
def test_agents_of_an_unknown_run(toka):
    result = toka("agents", "nobody")
    assert result.status == 2
    assert "There is no run 'nobody' here." in result.err


@pytest.mark.usefixtures("data")
def test_events_are_one_a_line(toka):
    lines = toka("events").out.splitlines()
    events = [json.loads(line) for line in toka("events", "--json").out.splitlines()]
    assert len(lines) == len(events)
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))


@pytest.mark.usefixtures("data")
def test_events_are_chosen(toka):
    for wanted in ("step", "step.", "step.completed", "step.completed.v1"):
        kinds = [line.split()[2] for line in toka("events", "--kind", wanted).out.splitlines()]
        assert kinds == ["step.completed.v1"] * 2
    assert toka("events", "--kind", "ste").out == ""
    assert len(toka("events", "--limit", "3").out.splitlines()) == 3
    assert toka("events", "--after", "3", "--limit", "1").out.split()[0] == "4"
    (run,) = toka("status", "--json").json
    events = toka("events", "--json", "--run", run["run"]).out.splitlines()
    assert {json.loads(line)["intent"] for line in events} == {run["run"]}


@pytest.mark.usefixtures("data")
def test_replay_recomputes_the_state(toka):
    result = toka("replay", "--verify", "--json").json
    assert result["verified"]
    assert result["unfinished_runs"] == 0
    assert result["digest"] == toka("replay", "--json").json["digest"]
    assert "verified: every payload" in toka("replay", "--verify").out


def test_looking_writes_nothing(toka, data):
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    for command in ("status", "agents", "events", "replay", "approve", "doctor"):
        assert toka(command).status == 0, command
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("data")
def test_explain_shows_causes_and_who_allowed_it(toka):
    step = json.loads(toka("events", "--kind", "step.", "--json").out.splitlines()[0])
    shown = toka("explain", str(step["position"]))
    assert shown.status == 0
    assert "because of" in shown.out
    assert "needed fs:read:" in shown.out
    assert "allowed by fs:read:" in shown.out
    assert "minted by whoever holds the signing key" in shown.out
    told = toka("explain", step["id"], "--json").json
    assert told["event"]["position"] == step["position"]
    assert told["causes"][-1]["kind"] == "agent.spawned.v1"
    assert all(told["allowed_by"].values())


@pytest.mark.usefixtures("data")
def test_explain_names_what_is_not_there(toka):
    for name in ("0", "99999", "01JD3X8ZK5Q6T7V8W9XAYBZCDE", "nonsense"):
        result = toka("explain", name)
        assert result.status == 2, name
        assert "toka events" in result.err or "names no event" in result.err

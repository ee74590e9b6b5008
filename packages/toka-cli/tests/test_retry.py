"""`toka retry`, end to end."""

import json
import signal
import subprocess
import time
from itertools import count

import pytest

SPECIFICATION = """
metadata: {{name: mend}}
tasks:
  default:
    - {{id: first, description: Pay, entry: "{module}:first"}}
    - {{id: second, description: Check, entry: "{module}:second", depends_on: [first]}}
security:
  capabilities_required: []
"""
CODE = """
import os, pathlib, signal

HERE = pathlib.Path(__file__).parent


async def first(ctx):
    async def pay():
        with open(HERE / "paid.txt", "a") as file:
            file.write("paid\\n")

    for _ in range(3):
        await ctx.step("pay", pay, effect="external")


async def second(ctx):
    async def check():
        if not (HERE / "good").exists():
            raise ValueError("It is not good.")
        if not (HERE / "killed").exists():
            (HERE / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    await ctx.step("check", check)
"""
_numbers = count()


@pytest.fixture
def failed(toka, tmp_path):
    """A specification, and the failed run of it."""
    # A process imports a module once, whatever folder it was in: each test has its own name.
    module = f"mend_{next(_numbers)}"
    path = tmp_path / "mend.yaml"
    path.write_text(SPECIFICATION.format(module=module))
    (tmp_path / f"{module}.py").write_text(CODE)
    result = toka("run", path, "--output", "json")
    assert result.status == 1
    return path, json.loads(result.out.splitlines()[-1])["run"]


def step_of(toka, kind):
    return json.loads(toka("events", "--kind", kind, "--json").out.splitlines()[-1])


def test_goes_on_from_the_step_that_failed(toka, failed, tmp_path):
    path, run = failed
    (tmp_path / "good").touch()
    (tmp_path / "killed").touch()
    step = step_of(toka, "step.failed")
    result = toka("retry", run, "--from", str(step["position"]), "--output", "plain")
    assert result.status == 0, result.err
    assert f"retries {run}" in result.err
    assert "Pay completed (3 steps, 3 copied)" in result.out
    assert (tmp_path / "paid.txt").read_text() == "paid\n" * 3
    copied = step_of(toka, "step.copied")
    told = toka("explain", copied["id"]).out
    assert "copied from " in told
    assert f"in {run}/mend, by {run}/mend under token" in told
    (origin,) = toka("explain", copied["id"], "--json").json["copied_from"]
    assert (origin["kind"], origin["stream"]) == ("step.completed.v1", f"{run}/mend")
    assert toka("replay", "--verify").status == 0
    # What is run next is the newest run of the specification.
    assert "is finished already" in toka("run", path).err


def test_a_step_says_which_run_it_is_of(toka, failed, tmp_path):
    _, run = failed
    (tmp_path / "good").touch()
    (tmp_path / "killed").touch()
    result = toka("retry", "--from", str(step_of(toka, "step.failed")["position"]))
    assert result.status == 0
    assert f"retries {run}" in result.err
    assert toka("retry").status == 2
    # In the streams of tokens and of hosts there is no run.
    for step in ("1", "999999", "nonsense"):
        assert toka("retry", "--from", step).status == 2
    url = ["--url", "http://127.0.0.1:9", "--token", "x"]
    assert "Which run" in toka("retry", "--from", step_of(toka, "step.")["id"], *url).err


def test_without_a_step_everything_is_done_again(toka, failed, tmp_path):
    _, run = failed
    assert toka("retry", run).status == 1
    assert (tmp_path / "paid.txt").read_text() == "paid\n" * 6
    results = toka("status", "--json").json
    assert len(results) == 2


def test_a_kill_in_a_retried_run_costs_nothing_that_was_taken_over(toka, failed, tmp_path):
    path, run = failed
    (tmp_path / "good").touch()
    step = step_of(toka, "step.failed")
    killed = subprocess.run(  # noqa: S603 - our own
        [*toka_command(), "retry", run, "--from", step["id"]], check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL
    again = toka("run", path, "--output", "plain")
    assert again.status == 0, again.err
    assert "Going on with run" in again.err
    assert (tmp_path / "paid.txt").read_text() == "paid\n" * 3
    assert toka("replay", "--verify").status == 0
    kinds = [json.loads(line)["kind"] for line in toka("events", "--json").out.splitlines()]
    assert kinds.count("step.copied.v1") == 3


def toka_command():
    import sys  # noqa: PLC0415

    return [sys.executable, "-m", "toka.cli"]


@pytest.mark.parametrize("step", ["1", "999999", "01JD3X8ZK5Q6T7V8W9XAYBZCDE", "nonsense"])
def test_what_is_no_step_is_refused_and_nothing_begins(toka, failed, step):
    before = toka("status", "--json").json
    result = toka("retry", failed[1], "--from", step)
    assert result.status == 2
    assert "[orchestration.unknown_step]" in result.err
    assert toka("status", "--json").json == before


def test_an_edited_specification_is_refused(toka, failed):
    path, run = failed
    path.write_text(path.read_text().replace("Check", "Look"))
    step = step_of(toka, "step.failed")
    result = toka("retry", run, "--from", step["id"])
    assert result.status == 2
    assert "task 1 (second) differs in description" in result.err


def test_a_run_that_is_not_there_is_refused(toka, failed):
    assert failed
    for name in ("01JD3X8ZK5Q6T7V8W9XAYBZCDE", "nonsense"):
        assert toka("retry", name).status == 2


def test_a_run_that_waits_is_not_retried(toka, asking):
    result = toka("run", asking)
    assert result.status == 4
    (run,) = toka("status", "--json").json
    for step in ([], ["--from", "1"]):
        result = toka("retry", run["run"], *step)
        assert result.status == 1
        assert "[orchestration.run_active]" in result.err


def test_a_directory_without_a_log_is_not_made(toka, tmp_path):
    assert toka("retry", "01JD3X8ZK5Q6T7V8W9XAYBZCDE").status == 2
    assert not (tmp_path / ".toka").exists()


def test_a_service_retries_as_well(toka, failed, tmp_path, command, served):
    _, run = failed
    (tmp_path / "good").touch()
    (tmp_path / "killed").touch()
    step = step_of(toka, "step.failed")
    with served(command, "--print-token") as process:
        url = ("--url", process.url, "--token", process.token)
        begun = toka("retry", run, "--from", step["id"], *url)
        assert begun.status == 0, begun.err
        name = begun.out.split()[1]
        deadline = time.monotonic() + 10
        while step_of(toka, "agent.")["kind"] != "agent.completed.v1":
            assert time.monotonic() < deadline
        assert toka("retry", run, "--from", step["id"].lower()[:-1], *url).status == 2
    assert name in {run["run"] for run in toka("status", "--json").json}
    assert (tmp_path / "paid.txt").read_text() == "paid\n" * 3


def test_a_service_is_told_events_and_no_positions(toka):
    url = ["--url", "http://127.0.0.1:9", "--token", "x"]
    assert toka("retry", "01JD3X8ZK5Q6T7V8W9XAYBZCDE", "--from", "4", *url).status == 2
    assert toka("retry", "01JD3X8ZK5Q6T7V8W9XAYBZCDE", *url).status == 70

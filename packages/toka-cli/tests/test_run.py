"""`toka run`, end to end."""

import json
import shlex
import signal
import subprocess

import pytest

CRASHING = """
import os, pathlib, signal

async def pay(ctx):
    async def crash():
        mark = pathlib.Path(__file__).with_suffix(".paid")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    await ctx.step("pay", crash, effect="external")
"""


@pytest.fixture
def specification(toka, tmp_path):
    toka("init", tmp_path / "agents")
    return tmp_path / "agents" / "agent.yaml"


def test_runs_and_says_what_was_made(toka, specification):
    result = toka("run", specification)
    assert result.status == 0
    assert "The count is on disk" in result.out
    assert "1 of 1 agents met their objectives" in result.out
    assert result.out.rstrip().endswith("count.txt")


def test_a_finished_run_is_not_done_again(toka, specification):
    toka("run", specification)
    before = toka("events", "--json").out
    result = toka("run", specification)
    assert result.status == 0
    assert "is finished already" in result.err
    after = toka("events", "--json").out
    assert [line for line in after.splitlines() if "host.opened" not in line][:-1] == [
        line for line in before.splitlines() if "host.opened" not in line
    ] or after.startswith(before)
    assert len(toka("status", "--json").json) == 1


def test_fresh_begins_another_run(toka, specification):
    toka("run", specification)
    assert toka("run", specification, "--fresh").status == 0
    assert len(toka("status", "--json").json) == 2


def test_json_lines_end_with_the_result(toka, specification):
    result = toka("run", specification, "--output", "json")
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert {line["kind"] for line in lines[:-1]} >= {"task.started.v1", "step.completed.v1"}
    assert lines[-1]["kind"] == "result"
    assert lines[-1]["met"] is True
    assert lines[-1]["files"]


def test_an_objective_that_is_not_met_is_an_exit_status(toka, specification):
    text = specification.read_text().replace(".written.bytes > 0", ".written.bytes > 1000000")
    specification.write_text(text)
    result = toka("run", specification)
    assert result.status == 1
    assert "0 of 1 agents met" in result.out


@pytest.mark.parametrize("given", ["target", "=x", ""])
def test_an_input_is_name_and_value(toka, specification, given):
    result = toka("run", specification, "--input", given)
    assert result.status == 2
    assert "NAME=VALUE" in result.err


def test_a_faulty_specification_starts_nothing(toka, specification, tmp_path):
    specification.write_text(specification.read_text().replace("tasks:", "taks:"))
    result = toka("run", specification)
    assert result.status in (0, 2)
    if result.status == 2:
        assert not (tmp_path / ".toka").exists()


def test_an_unknown_file_is_a_usage_error(toka):
    result = toka("run", "nothing.yaml")
    assert result.status == 2
    assert "nothing.yaml" in result.err


def test_a_question_ends_the_command_and_its_answer_lets_it_go_on(toka, asking):
    waiting = toka("run", asking)
    assert waiting.status == 4
    assert "May I?" in waiting.err
    assert "toka approve" in waiting.err
    (question,) = toka("approve", "--json").json
    assert question["question"] == "May I?"
    assert toka("run", asking).status == 4
    assert len(toka("approve", "--json").json) == 1
    answered = toka("approve", question["approval"], "--reason", "Because.")
    assert answered.status == 0, answered.err
    gone_on = toka("run", asking)
    assert gone_on.status == 0
    assert "Going on with run" in gone_on.err


def test_a_question_can_be_answered_with_no(toka, asking):
    toka("run", asking)
    (question,) = toka("approve", "--json").json
    assert toka("approve", question["approval"], "--deny").out.startswith("Denied")
    assert toka("run", asking).status == 0
    assert toka("approve").out == "Nothing waits for an answer.\n"


def test_a_question_is_answered_with_what_it_asks_for(toka, inquiring, tmp_path):
    run = ("run", inquiring, "--output", "json")
    assert toka(*run).status == 4
    (question,) = toka("approve", "--json").json
    assert question["form"] == {"type": "string", "enum": ["here", "there"]}
    assert "Where to?" in toka("approve").out
    assert '--answer {"enum": ["here", "there"]' in toka("approve").out
    for wrong in ((), ("--answer", "nowhere"), ("--answer", "here", "--deny")):
        refused = toka("approve", question["approval"], *wrong)
        assert refused.status == 1
        assert "[kernel.answer_invalid]" in refused.err
    assert toka("approve", question["approval"], "--answer", "there").status == 0
    assert toka(*run).status == 4
    (question,) = toka("approve", "--json").json
    assert question["question"] == "How long there?"
    assert toka("approve", question["approval"], "--answer", "for ever").status == 2
    assert toka("approve", question["approval"], "--answer", "3").status == 0
    done = toka(*run)
    assert done.status == 0, done.err
    (plan,) = tmp_path.rglob("plan.txt")
    assert plan.read_text() == "there for 3, says operator"


def test_a_step_in_doubt_is_a_question_too(toka, command, tmp_path):
    (tmp_path / "crashing.py").write_text(CRASHING)
    specification = tmp_path / "crashing.yaml"
    specification.write_text(
        "metadata: {name: crashing}\n"
        "tasks: {default: [{id: pay, description: Pay, entry: 'crashing:pay'}]}\n"
    )
    killed = subprocess.run([*command, "run", specification], capture_output=True, check=False)  # noqa: S603
    assert killed.returncode == -signal.SIGKILL
    waiting = toka("run", specification)
    assert waiting.status == 4
    assert "may or may not have taken effect" in waiting.err
    assert "1 unfinished run\n" in toka("replay").out
    (question,) = toka("approve", "--json").json
    assert toka("approve", question["approval"]).status == 0
    assert toka("run", specification).status == 0


def test_a_run_whose_reader_goes_away_stops_and_can_be_gone_on_with(toka, command, specification):
    start = f"{shlex.join(command)} run {specification} --output json"
    done = subprocess.run(  # noqa: S602 - a fixed line; the pipe is what is tested
        f"{start} | true; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130
    assert done.stderr.count("\n") == 1
    assert "nobody reads the output" in done.stderr
    assert toka("run", specification).status == 0


def test_a_tree_is_drawn_on_request(toka, specification):
    result = toka("run", specification, "--output", "tree")
    assert result.status == 0
    assert "counter" in result.out
    assert "2 steps" in result.out


READER = """
metadata: {name: reader}
objectives: [{description: look, deliverable: lines, validation: v, check: CHECK}]
tasks:
  default:
    - id: look
      description: Look where it may not
      steps:
        - tool: run_command
          with: {argv: [cat, /etc/passwd]}
          as: done
security:
  capabilities_required: ["proc:run:cat"]
"""


@pytest.mark.parametrize(("level", "seen"), [("limits", "!="), ("landlock", "==")])
def test_commands_are_kept_in_the_sandbox_that_is_asked_for(toka, tmp_path, level, seen):
    if level == "landlock" and not toka("tools", "sandbox", "--json").json[level]["proven"]:
        pytest.skip("this machine does not prove the level")
    (tmp_path / "reader.yaml").write_text(
        READER.replace("CHECK", f"\"results.look.done.stdout {seen} ''\"")
    )
    run = ("run", tmp_path / "reader.yaml", "--sandbox", level, "--output", "plain")
    result = toka(*run)
    assert result.status == 0, result.err + result.out


def test_a_machine_that_does_not_prove_the_sandbox_starts_nothing(
    toka, specification, monkeypatch, tmp_path
):
    from toka.tools import SandboxLevel  # noqa: PLC0415 - heavy for the other tests
    from toka.tools.sandbox import SandboxReport, _proof  # noqa: PLC0415

    weak = SandboxReport(SandboxLevel.NAMESPACES, {"TCP is closed": False})
    monkeypatch.setitem(_proof._reports, SandboxLevel.NAMESPACES, weak)
    result = toka("run", specification, "--sandbox", "namespaces")
    assert result.status == 5
    assert "tools.sandbox_unavailable" in result.err
    assert not (tmp_path / ".toka" / "log.db").exists()


NOTING = """
metadata: {name: noting}
objectives:
  - {description: The note is kept, check: "results.note.kept.text == 'kept'"}
tasks:
  default:
    - id: note
      description: Keep a note, and look at it again
      steps:
        - {tool: store_note, with: {name: agents/noting/a, text: kept}}
        - {tool: wait, with: {seconds: 0}}
        - {tool: recall_note, with: {name: agents/noting/a}, as: kept}
security:
  capabilities_required: ["note:*:agents/noting/**"]
"""


def test_a_run_names_the_built_in_tools_and_keeps_notes(toka, tmp_path):
    specification = tmp_path / "noting.yaml"
    specification.write_text(NOTING)
    result = toka("run", specification)
    assert result.status == 0, result.err
    assert "The note is kept" in result.out
    specification.write_text(NOTING.replace("note:*:", "note:read:"))
    denied = toka("run", specification, "--fresh")
    assert denied.status == 1
    assert "note:write:agents/noting/a" in denied.out + denied.err

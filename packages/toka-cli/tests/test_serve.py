"""`toka serve` as a process: addresses, tokens, signals, kills."""

import json
import signal
import stat
import subprocess
import time
import urllib.request
from functools import partial

import pytest

from toka.capability.core import MaxRate
from toka.capability.delegation import narrow


def test_serves_until_it_is_told_to_stop(toka, command, tmp_path, served):
    file = tmp_path / ".toka" / "serve.json"
    with served(command) as process:
        assert process.url.startswith("http://127.0.0.1:")
        said = json.loads(file.read_bytes())
        assert said == {"url": process.url, "pid": process.pid}
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        finding = next(each for each in toka("doctor", "--json").json if each["check"] == "writer")
        assert str(process.pid) in finding["text"]
    assert process.status == 0
    assert not file.exists()
    assert "toka token mint" in process.err
    assert "Traceback" not in process.err
    assert process.rest == ""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_orderly_stop_leaves_runs_resumable(toka, command, asking, end, served):
    toka("run", asking)
    with served(command, end=end) as process:
        assert toka("status", "--json").json[0]["state"] == "running"
    assert process.status == 0
    assert toka("status", "--json").json[0]["state"] == "interrupted"
    (question,) = toka("approve", "--json").json
    toka("approve", question["approval"])
    assert toka("run", asking).status == 0


def test_a_service_answers_the_other_commands(toka, command, asking, served):
    toka("run", asking)
    with served(command, "--print-token") as process:
        url = ("--url", process.url, "--token", process.token)
        assert toka("status", "--json", *url).json == toka("status", "--json").json
        assert toka("agents", "--json", *url).json == toka("agents", "--json").json
        assert toka("events", "--json", *url).out == toka("events", "--json").out
        assert toka("events", "--limit", "2", *url).out == toka("events", "--limit", "2").out
        assert toka("approve", "--json", *url).json == toka("approve", "--json").json
        refused = toka("status", "--url", process.url, "--token", "bad")
        assert refused.status == 5
        assert "[auth.denied]" in refused.err
        assert toka("agents", "01JD3X8ZK5Q6T7V8W9XAYBZCDE", *url).status == 1
        assert toka("status", "--url", process.url).status == 2
        (question,) = toka("approve", "--json").json
        # Without --url: the service is found by the data directory.
        assert toka("approve", question["approval"], "--deny").status == 0
        deadline = time.monotonic() + 10
        while toka("status", "--json", *url).json[0]["state"] == "running":
            assert time.monotonic() < deadline
    assert toka("status", "--json").json[0]["state"] == "completed"


def test_no_token_is_printed_unless_asked_for(command, served):
    with served(command) as process:
        pass
    assert process.rest == ""
    assert "eyJ" not in process.err


def test_a_killed_run_goes_on_by_itself_within_a_second(toka, command, asking, served):
    toka("run", asking)
    with served(command, "--print-token", end=signal.SIGKILL):
        pass
    (question,) = toka("approve", "--json").json
    with served(command, "--print-token") as process:
        began = time.monotonic()
        url = ("--url", process.url, "--token", process.token)
        assert toka("approve", question["approval"], *url).status == 0
        while toka("status", "--json", *url).json[0]["state"] == "running":
            assert time.monotonic() - began < 1
    assert process.status == 0
    assert toka("replay", "--verify").status == 0


def answer_of(token, process, path, body=None):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(process.url + path, data, headers)  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - see above
        return json.loads(answer.read())


def question_of(ask, process, text):
    deadline = time.monotonic() + 10
    while True:
        open_questions = ask(process, "/v1/approvals")["approvals"]
        if [each["question"] for each in open_questions] == [text]:
            return open_questions[0]
        assert time.monotonic() < deadline, open_questions
        time.sleep(0.02)


def test_questions_and_answers_outlive_kills_and_nobody_is_asked_twice(
    toka, command, inquiring, tmp_path, served
):
    may = (
        "run:*:*",
        "agent:*:**",
        "approval:resolve:**",
        "person:ask:*",
        f"fs:write:{tmp_path}/**",
    )
    permissions = [part for each in may for part in ("--permission", each)]
    token = toka("token", "mint", "--subject", "operator", *permissions).out.strip()
    ask = partial(answer_of, token)
    with served(command, end=signal.SIGKILL) as process:
        run = ask(process, "/v1/runs", {"source": inquiring.name})["run"]["run"]
        asked = question_of(ask, process, "Where to?")
    assert process.status == -signal.SIGKILL
    with served(command, end=signal.SIGKILL) as process:
        assert question_of(ask, process, "Where to?") == asked
        where = {"decision": "approve", "answer": "there"}
        ask(process, f"/v1/approvals/{asked['approval']}", where)
        # Killed as soon as the answer was taken: whether the run has gone on by then is chance.
    with served(command) as process:
        asked = question_of(ask, process, "How long there?")
        ask(process, f"/v1/approvals/{asked['approval']}", {"decision": "approve", "answer": 3})
        deadline = time.monotonic() + 10
        while (state := ask(process, f"/v1/runs/{run}")["run"]["state"]) != "completed":
            assert time.monotonic() < deadline, state
            time.sleep(0.02)
    (plan,) = tmp_path.rglob("plan.txt")
    assert plan.read_text() == "there for 3, says operator"
    events = [json.loads(line) for line in toka("events", "--json", "--run", run).out.splitlines()]
    kinds = [each["kind"].split(".")[1] for each in events if "approval." in each["kind"]]
    assert kinds == ["requested", "resolved", "consumed"] * 2
    assert toka("replay", "--verify").status == 0


def test_a_port_in_use_is_said(toka, command, tmp_path, served):
    with served(command) as process:
        port = process.url.rpartition(":")[2]
        result = toka("serve", "--port", port, "--data-dir", tmp_path / "other")
    assert result.status == 2
    assert f"127.0.0.1:{port} cannot be listened on" in result.err


def test_a_second_service_names_the_first(toka, command, served):
    with served(command) as process:
        result = toka("serve", "--port", "0")
    assert result.status == 3
    assert f"process {process.pid}" in result.err


def test_what_a_killed_service_left_is_not_believed(toka, data):
    process = subprocess.Popen(["true"])  # noqa: S607 - any process that ends
    process.wait()
    (data / "serve.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": process.pid}))
    assert toka("approve").out == "Nothing waits for an answer.\n"
    (data / "serve.json").write_text("nonsense")
    assert toka("approve").status == 0


def test_nobody_answers(toka):
    result = toka("status", "--url", "http://127.0.0.1:9", "--token", "x")
    assert result.status == 70
    assert "No Toka service answers at http://127.0.0.1:9" in result.err
    assert toka("status", "--url", "ftp://x", "--token", "x").status == 2


def test_another_address_is_warned_about(command, served):
    with served(command, "--host", "0.0.0.0") as process:  # noqa: S104 - what is tested
        pass
    assert "nothing on it is encrypted" in process.err


def test_a_second_signal_leaves_at_once(command, asking):
    """Work that does not end when it is cancelled must not hold the second Ctrl-C up."""
    (code,) = asking.parent.glob("*.py")
    code.write_text(
        "import anyio\n"
        "async def ask(ctx):\n"
        "    with anyio.CancelScope(shield=True):\n"
        "        print('stubborn', flush=True)\n"
        "        await anyio.sleep(60)\n"
    )
    process = subprocess.Popen(  # noqa: S603 - our own
        [*command, "run", str(asking), "--output", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    while "stubborn" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert "once more" in process.stderr.readline()
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130
    assert time.monotonic() - began < 5


def test_ctrl_c_stops_a_run_resumably(toka, command, asking):
    asking.write_text(asking.read_text().replace(":ask", ":wait"))
    (code,) = asking.parent.glob("*.py")
    code.write_text("async def wait(ctx):\n    await ctx.sleep(0.2)\n    await ctx.sleep(60)\n")
    process = subprocess.Popen(  # noqa: S603
        [*command, "run", str(asking), "--output", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "step.completed" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "The same command goes on with it." in err
    assert toka("status", "--json").json[0]["state"] == "interrupted"


def test_a_token_that_is_taken_back_ends_with_all_that_was_narrowed_from_it(toka, command, served):
    with served(command, "--print-token") as process:
        narrowed = toka("token", "narrow", process.token, "--to", "bob").out.strip()

        def status(token: str) -> int:
            return toka("status", "--json", "--url", process.url, "--token", token).status

        assert (status(process.token), status(narrowed)) == (0, 0)
        assert toka("token", "revoke", process.token).status == 0
        deadline = time.monotonic() + 5
        while status(process.token) == 0:
            assert time.monotonic() < deadline
        assert (status(process.token), status(narrowed)) == (5, 5)


def test_a_rate_that_a_token_states_is_kept(toka, command, served):
    with served(command, "--print-token") as process:
        rated = narrow(process.token, "bob", [MaxRate(2, 3_600)])
        url = ("--json", "--url", process.url, "--token", rated)
        assert [toka("status", *url).status for _ in range(3)] == [0, 0, 5]

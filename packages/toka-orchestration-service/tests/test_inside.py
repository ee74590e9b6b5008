"""A run from inside: graph, tasks, spans, one step, permissions and mail."""

import pytest
from msgspec import Raw

from toka.kernel import Intent, Terms
from toka.orchestration_service import _spans, _window
from toka.types import Message, SendMessage

pytestmark = pytest.mark.anyio

UNKNOWN = "01JD3X8ZK5Q6T7V8W9XAYBZCDE"


@pytest.fixture
def pair(workspace) -> str:
    """Return a folder with an agent that waits for another."""
    (code,) = workspace.glob("asking_*.py")
    folder, module = workspace / "pair", f"pair_{code.stem}"
    folder.mkdir()
    (folder / f"{module}.py").write_text(code.read_text())
    (folder / "first.yaml").write_text(
        f"metadata: {{name: first}}\ntasks:\n  default:\n"
        f"    - {{id: look, description: Look, entry: '{module}:ask'}}\n"
    )
    (folder / "second.yaml").write_text(
        f"metadata: {{name: second}}\ndependencies: {{required: [first]}}\ntasks:\n  default:\n"
        f"    - {{id: say, description: Say, entry: '{module}:ask'}}\n"
    )
    return "pair"


async def waiting(served, source: str = "asking.yaml") -> tuple[str, dict]:
    run = await served.begin(source)
    body = await served.until("/v1/approvals", lambda body: body["approvals"])
    return run, body["approvals"][0]


async def test_a_graph_holds_agents_and_what_they_wait_for(served, pair):
    run, _ = await waiting(served, pair)
    _, graph, _ = await served.ask(f"/v1/runs/{run}/graph")
    assert [agent["name"] for agent in graph["agents"]] == ["first", "second"]
    assert {agent["parent"] for agent in graph["agents"]} == {run}
    assert graph["edges"] == [
        {"agent": f"{run}/second", "waits_for": f"{run}/first", "optional": False}
    ]
    _, page, _ = await served.ask(f"/v1/runs/{run}/graph?limit=1")
    assert (len(page["agents"]), page["edges"], page["next"]) == (1, [], f"{run}/first")
    _, page, _ = await served.ask(f"/v1/runs/{run}/graph?limit=1&after={page['next']}")
    assert (len(page["agents"]), len(page["edges"]), page["next"]) == (1, 1, None)
    assert (await served.ask(f"/v1/runs/{run}/graph?after=x"))[0] == 400


async def test_tasks_come_with_their_attempts(served, pair):
    run, _ = await waiting(served, pair)
    _, body, _ = await served.ask(f"/v1/runs/{run}/tasks")
    assert [(task["task"], task["state"]) for task in body["tasks"]] == [
        (f"{run}/first#0", "asking"),
        (f"{run}/second#0", "queued"),
    ]
    (attempt,) = body["tasks"][0]["attempts"]
    assert (attempt["number"], attempt["state"], attempt["ended"]) == (1, "running", None)
    query = "after=" + body["tasks"][0]["task"].replace("#", "%23")
    assert len((await served.ask(f"/v1/runs/{run}/tasks?{query}"))[1]["tasks"]) == 1
    assert len((await served.ask(f"/v1/runs/{run}/tasks?state=queued"))[1]["tasks"]) == 1
    for after in ("x", f"{run}/first%23x", f"{run}/first%239"):
        assert (await served.ask(f"/v1/runs/{run}/tasks?after={after}"))[0] == 400, after


async def test_spans_tell_what_took_how_long(served):
    run, question = await waiting(served)
    _, body, _ = await served.ask(f"/v1/runs/{run}/spans")
    assert [(span["kind"], span["name"], span["state"]) for span in body["spans"]] == [
        ("step", "observe", "completed"),
        ("approval", "approve", "running"),
    ]
    assert body["spans"][1]["reason"] == "May I?"
    assert body["next"] is None
    path = f"/v1/approvals/{question['approval']}"
    await served.ask(path, method="POST", json={"decision": "approve"})
    await served.ended(run)
    _, later, _ = await served.ask(f"/v1/runs/{run}/spans?after={body['position']}")
    spans = {span["span"]: span for span in later["spans"]}
    approved = spans[body["spans"][1]["span"]]
    assert (approved["state"], approved["began"]) == ("approved", body["spans"][1]["began"])
    assert approved["ended"] >= approved["began"]
    assert [span["name"] for span in later["spans"]] == ["approve", "approve"]


async def test_spans_come_in_pages_of_either_order_and_of_one_agent_or_task(served, pair):
    run, _ = await waiting(served, pair)
    for body in ({"decision": "approve"}, {"decision": "deny"}):
        asked = await served.until("/v1/approvals", lambda body: body["approvals"])
        path = f"/v1/approvals/{asked['approvals'][0]['approval']}"
        await served.ask(path, method="POST", json=body)
    await served.ended(run)

    async def all_of(query: str) -> dict[str, dict]:
        found: dict[str, dict] = {}
        after: str | None = "0"
        while after is not None:
            path = f"/v1/runs/{run}/spans?limit=1&after={after}&{query}"
            status, page, _ = await served.ask(path)
            assert status == 200, page
            for span in page["spans"]:
                found.setdefault(span["span"], span)
                if "oldest" in query:
                    found[span["span"]] = span
            after = page["next"]
        return found

    everything = await all_of("order=oldest")
    assert len(everything) == 6
    assert {span["state"] for span in everything.values()} == {"completed", "approved", "denied"}
    backwards = await all_of("order=newest")
    assert backwards.keys() == everything.keys()
    assert backwards == everything
    first = await all_of(f"order=oldest&agent={run}/first")
    assert {span["agent"] for span in first.values()} == {f"{run}/first"}
    assert len(first) == 3
    assert (await all_of(f"order=oldest&task={run}/first%230")).keys() == first.keys()
    assert await all_of(f"order=oldest&task={run}/first%231") == {}
    for query in (f"agent={UNKNOWN}/x", f"task={UNKNOWN}/x%230", "order=x", "after=x"):
        assert (await served.ask(f"/v1/runs/{run}/spans?{query}"))[0] == 400, query


@pytest.fixture
def busy(workspace) -> str:
    """Return an agent that does three tasks of five steps each."""
    module = f"busy_{workspace.parent.name}".replace("-", "_")
    (workspace / f"{module}.py").write_text(
        "async def work(ctx):\n    for _ in range(5):\n        await ctx.now()\n"
    )
    tasks = "".join(
        f"    - {{id: t{number}, description: Work, entry: '{module}:work'}}\n"
        for number in range(3)
    )
    text = f"metadata: {{name: busy}}\ntasks:\n  default:\n{tasks}"
    (workspace / "busy.yaml").write_text(text)
    return "busy.yaml"


@pytest.mark.parametrize("order", ["oldest", "newest"])
@pytest.mark.parametrize("task", [0, 1, 2])
async def test_spans_of_a_task_are_found_where_it_was_done(served, busy, monkeypatch, task, order):
    run = await served.begin(busy)
    await served.ended(run)
    # Fewer than come before the last task, and behind the first.
    monkeypatch.setattr(_window, "MAX_SCANNED", 8)
    path = f"/v1/runs/{run}/spans?task={run}/busy%23{task}&order={order}"
    _, page, _ = await served.ask(path)
    assert [span["name"] for span in page["spans"]] == ["now"] * 5
    assert page["next"] is None


@pytest.mark.parametrize("order", ["oldest", "newest"])
@pytest.mark.parametrize("after", [1, 5, 12, 99])
async def test_spans_of_a_task_are_found_to_an_end_from_anywhere(served, busy, after, order):
    run = await served.begin(busy)
    await served.ended(run)
    path: str | None = f"after={after}"
    found: set[str] = set()
    while path is not None:
        path = f"/v1/runs/{run}/spans?task={run}/busy%231&order={order}&limit=2&{path}"
        _, page, _ = await served.ask(path)
        found |= {span["span"] for span in page["spans"]}
        path = None if page["next"] is None else f"after={page['next']}"
    assert len(found) <= 5


async def test_a_version_is_found_by_its_position(served, busy):
    run = await served.begin(busy)
    await served.ended(run)
    store, stream = served.orchestrator.runtime.store, f"{run}/busy"
    events = [event async for event in store.read_stream(stream)]
    assert len(events) > 15
    for event in events:
        assert await _window.version_at(store, stream, event.position) == event.version
    assert await _window.version_at(store, stream, 0) == 1
    assert await _window.version_at(store, stream, events[-1].position + 1) == len(events) + 1
    assert await _window.version_at(store, f"{run}/none", 5) == 1


async def test_a_step_tells_all_that_the_log_has_of_it(served):
    run = await served.begin("hello.yaml")
    await served.ended(run)
    _, body, _ = await served.ask(f"/v1/runs/{run}/spans")
    (span,) = body["spans"]
    assert (span["kind"], span["name"]) == ("tool", "write_file")
    status, step, _ = await served.ask(f"/v1/steps/{span['event']}")
    assert status == 200, step
    assert (step["kind"], step["name"], step["state"]) == ("tool", "write_file", "completed")
    assert step["arguments"]["content"] == "Hello, world!"
    assert step["result"]["bytes"] == 13
    assert (step["task"], step["attempt"], step["tries"]) == (f"{run}/hello#0", 1, 1)
    (allowed,) = step["why"]["allowances"]
    assert allowed["needed"].startswith("fs:write:")
    assert allowed["granting"].endswith("/**")
    assert len(step["idempotency_key"]) == 32
    kinds = [cause["kind"] for cause in step["why"]["causes"]]
    assert "task.started.v1" in kinds
    assert kinds[-1] == "agent.spawned.v1"
    subjects = {token["subject"] for token in step["why"]["tokens"]}
    assert subjects == {"tester", run, f"{run}/hello"}


async def test_a_step_is_found_by_its_beginning_and_by_its_end(served, workspace):
    (module,) = workspace.glob("asking_*.py")
    module.write_text(
        "async def send():\n    return 'sent'\n"
        "async def ask(ctx):\n    return await ctx.step('send', send, effect='external')\n"
    )
    run = await served.begin("asking.yaml")
    await served.ended(run)
    _, page, _ = await served.ask(f"/v1/log?run={run}&kind=step&order=oldest")
    first, last = page["events"]
    assert (first["kind"], last["kind"]) == ("step.started.v1", "step.completed.v1")
    found = [(await served.ask(f"/v1/steps/{event['id']}"))[1] for event in (first, last)]
    assert found[0] == found[1]
    assert (found[0]["step"], found[0]["event"]) == (first["id"], last["id"])
    assert (found[0]["effect"], found[0]["result"]) == ("external", "sent")
    (span,) = (await served.ask(f"/v1/runs/{run}/spans"))[1]["spans"]
    assert (span["span"], span["event"]) == (first["id"], last["id"])
    # The end alone, in a window that does not hold the beginning, makes the whole span.
    _, late, _ = await served.ask(f"/v1/runs/{run}/spans?after={first['position']}")
    assert late["spans"] == [span]


async def test_what_is_no_step_is_not_found_as_one_and_explained_all_the_same(served):
    run = await served.begin("hello.yaml")
    await served.ended(run)
    _, page, _ = await served.ask(f"/v1/log?run={run}&kind=task.started")
    event = page["events"][0]
    assert (await served.ask(f"/v1/steps/{event['id']}"))[0] == 404
    status, body, _ = await served.ask(f"/v1/explanations/{event['id']}")
    assert (status, body["event"]["id"]) == (200, event["id"])
    assert body["why"]["hidden"] == 0


async def test_an_explanation_holds_only_what_the_token_may_see(served):
    run = await served.begin("hello.yaml")
    await served.ended(run)
    _, page, _ = await served.ask(f"/v1/log?run={run}&kind=step.")
    event = page["events"][0]["id"]
    theirs = served.token(f"event:read:{run}/hello/**", f"event:read:{run}/hello")
    status, body, _ = await served.ask(f"/v1/explanations/{event}", token=theirs)
    assert status == 200
    assert body["why"]["hidden"] > 0
    assert {cause["stream"] for cause in body["why"]["causes"]} == {f"{run}/hello"}
    assert "tester" not in {token["subject"] for token in body["why"]["tokens"]}
    other = served.token(f"event:read:{UNKNOWN}/**")
    for path in (f"/v1/explanations/{event}", f"/v1/steps/{event}"):
        assert (await served.ask(path, token=other))[0] == 404


async def test_permissions_tell_every_hand_that_they_went_through(served):
    run = await served.begin("hello.yaml")
    await served.ended(run)
    status, body, _ = await served.ask(f"/v1/capabilities/{run}/hello")
    assert status == 200, body
    (written,) = [each for each in body["capabilities"] if "fs:write:" in each["permission"]]
    assert [origin["subject"] for origin in written["origins"]] == [run, "tester"]
    near, far = written["origins"]
    assert near["permission"] == written["permission"]
    assert far["permission"] == "fs:*:/**"
    assert (near["event"] is not None, far["event"]) == (True, None)
    assert {token["subject"] for token in body["tokens"]} == {run, "tester"}
    assert "ey" not in str(body["tokens"])[:2]


async def test_mail_waits_until_it_is_read(served):
    run, question = await waiting(served)
    agent = question["agent"]
    token = served.token("agent:message:**")
    for number in range(3):
        operation = SendMessage(agent, Raw(b'{"number":%d}' % number))
        await served.runtime.submit(Message(token, operation))
    _, body, _ = await served.ask(f"/v1/mailboxes/{agent}?limit=2")
    assert body["waiting"] == 3
    assert [mail["body"]["number"] for mail in body["mail"]] == [0, 1]
    assert body["mail"][0]["sender"] == "tester"
    _, rest, _ = await served.ask(f"/v1/mailboxes/{agent}?limit=2&after={body['next']}")
    assert ([mail["body"]["number"] for mail in rest["mail"]], rest["next"]) == ([2], None)
    _, detail, _ = await served.ask(f"/v1/agents/{agent}")
    assert (detail["mail"], detail["tainted"]) == (3, False)
    assert detail["budget"]["tokens"]["limit"] is None
    assert run in agent


async def test_a_question_shows_what_it_is_about(served):
    run, question = await waiting(served)
    assert question["data"] == {"details": None, "question": "May I?"}
    assert (question["run"], question["run_name"], question["on_expiry"]) == (
        run,
        "asking",
        "deny",
    )
    _, body, _ = await served.ask(f"/v1/explanations/{question['event']}")
    assert body["event"]["kind"] == "approval.requested.v1"


def test_a_model_step_says_which_model_it_asks_before_there_is_an_answer():
    def asked(name: str, *requires: str) -> str:
        return _spans._model_of(Intent(name, "external", Raw(b"{}"), Terms(requires)))

    assert asked("model", "model:call:anthropic/one/two") == "anthropic/one/two"
    assert asked("model") == ""
    assert asked("read_file", "model:call:anthropic/one") == ""

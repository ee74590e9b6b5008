"""Begin an ended run again from one of its steps, over HTTP."""

import pytest

pytestmark = pytest.mark.anyio

SPEC = """
metadata: {name: mend}
tasks:
  default:
    - id: work
      description: Write, read and write again
      steps:
        - tool: write_file
          with: {path: "${run.artifacts}/a.txt", content: "one"}
        - {tool: read_file, with: {path: "${run.artifacts}/a.txt"}, as: read}
        - {tool: read_file, with: {path: "${run.workspace}/missing.txt"}, as: found}
        - tool: write_file
          with: {path: "${run.artifacts}/b.txt", content: "${read.content} ${found.content}"}
security:
  capabilities_required:
    - "fs:write:${run.artifacts}/**"
    - "fs:read:${run.artifacts}/**"
    - "fs:read:${run.workspace}/**"
"""


@pytest.fixture
async def failed(served, workspace):
    (workspace / "mend.yaml").write_text(SPEC)
    run = await served.begin("mend.yaml")
    body = await served.ended(run)
    assert body["run"]["state"] == "failed"
    return run


async def spans(served, run):
    status, body, _ = await served.ask(f"/v1/runs/{run}/spans")
    assert status == 200, body
    return body["spans"]


async def retry(served, run, step, **how):
    path = f"/v1/runs/{run}/retry"
    return await served.ask(path, method="POST", json={"step": step}, **how)


async def test_a_run_goes_on_from_the_step_that_failed(served, workspace, failed):
    (workspace / "missing.txt").write_text("two")
    old = await spans(served, failed)
    assert [span["state"] for span in old] == ["completed", "completed", "failed"]
    status, body, answer = await retry(served, failed, old[2]["event"])
    assert status == 201, body
    run = body["run"]["run"]
    assert answer.headers["Location"] == f"/v1/runs/{run}"
    new = await served.ended(run)
    assert new["run"]["state"] == "completed"
    assert (new["run"]["steps"], new["run"]["copied"]) == (4, 2)
    assert new["agents"][0]["copied"] == 2
    assert new["retries"] == {"run": failed, "step": old[2]["event"]}
    shown = await spans(served, run)
    assert [span["copied"] for span in shown] == [True, True, False, False]
    assert [span["kind"] for span in shown] == ["tool"] * 4
    made = f"{new['artifacts']}/b.txt"
    with open(made) as file:  # noqa: ASYNC230, PTH123 - a test
        assert file.read() == "one two"


async def test_a_copied_step_says_where_it_came_from(served, workspace, failed):
    (workspace / "missing.txt").write_text("two")
    old = await spans(served, failed)
    _, body, _ = await retry(served, failed, old[2]["span"])
    run = body["run"]["run"]
    await served.ended(run)
    copied, _, done, _ = await spans(served, run)
    _, step, _ = await served.ask(f"/v1/steps/{copied['event']}")
    _, origin, _ = await served.ask(f"/v1/steps/{old[0]['event']}")
    assert (step["arguments"], step["result"]) == (origin["arguments"], origin["result"])
    assert step["copied_from"] == {
        "event": origin["event"],
        "run": failed,
        "agent": f"{failed}/mend",
        "ended": origin["ended"],
        "actor": f"{failed}/mend",
        "token": step["copied_from"]["token"],
        "copied": origin["event"],
    }
    assert (step["tries"], step["idempotency_key"], step["run_ended"]) == (0, "", True)
    assert origin["event"] in [cause["event"] for cause in step["why"]["causes"]]
    _, other, _ = await served.ask(f"/v1/steps/{done['event']}")
    assert (other["copied_from"], other["tries"]) == (None, 1)
    blind = served.token(f"event:read:{run}/**")
    _, narrow, _ = await served.ask(f"/v1/steps/{copied['event']}", token=blind)
    assert origin["event"] not in [cause["event"] for cause in narrow["why"]["causes"]]


async def test_the_same_request_again_is_the_same_run(served, failed):
    step = (await spans(served, failed))[2]["event"]
    key = {"Idempotency-Key": "once"}
    _, first, _ = await retry(served, failed, step, headers=key)
    _, again, _ = await retry(served, failed, step, headers=key)
    assert first["run"]["run"] == again["run"]["run"]
    other = (await spans(served, failed))[0]["event"]
    status, body, _ = await retry(served, failed, other, headers=key)
    assert (status, body["code"]) == (422, "service.key_reused")


async def test_a_retried_run_is_begun_again_from_its_beginning_by_itself(served, failed):
    step = (await spans(served, failed))[2]["event"]
    _, body, _ = await retry(served, failed, step)
    second = await served.ended(body["run"]["run"])
    _, body, _ = await retry(served, second["run"]["run"], "")
    third = await served.ended(body["run"]["run"])
    assert third["retries"] is None
    assert third["run"]["copied"] == 0
    assert third["artifacts"] != second["artifacts"]


@pytest.mark.parametrize("step", ["01JD3X8ZK5Q6T7V8W9XAYBZCDE", "nonsense", "\u0130"])
async def test_what_is_no_step_of_the_run_is_not_found(served, failed, step):
    status, body, _ = await retry(served, failed, step)
    assert (status, body["code"]) == (404, "orchestration.unknown_step")


async def test_whoever_may_not_read_the_steps_does_not_get_their_outcomes(served, failed):
    step = (await spans(served, failed))[2]["event"]
    may = ("run:*:*", "agent:*:**", "fs:*:/**")
    status, body, _ = await retry(served, failed, step, token=served.token(*may))
    assert (status, body["details"]["needed"]) == (403, f"event:read:{failed}/**")
    reader = (*may[1:], "run:read:*", "event:read:**")
    status, body, _ = await retry(served, failed, step, token=served.token(*reader))
    assert (status, body["details"]["needed"]) == (403, "run:start:*")


async def test_a_run_that_goes_on_is_not_retried(served):
    run = await served.begin("ticking.yaml")
    status, body, _ = await retry(served, run, "01JD3X8ZK5Q6T7V8W9XAYBZCDE")
    assert (status, body["code"]) == (409, "service.conflict")


async def test_an_edited_specification_is_refused(served, workspace, failed):
    step = (await spans(served, failed))[2]["event"]
    (workspace / "mend.yaml").write_text(SPEC.replace("missing", "there"))
    status, body, _ = await retry(served, failed, step)
    assert (status, body["code"]) == (409, "orchestration.spec_changed")
    assert "step 2 of task 0 (work)" in body["detail"]


async def test_a_retried_run_goes_on_after_a_restart(opener, workspace):
    (workspace / "mend.yaml").write_text(SPEC)
    async with opener() as served:
        failed = await served.begin("mend.yaml")
        await served.ended(failed)
        step = (await spans(served, failed))[2]["event"]
        (workspace / "missing.txt").write_text("two")
        _, body, _ = await retry(served, failed, step)
    async with opener() as served:
        new = await served.ended(body["run"]["run"])
        assert (new["run"]["state"], new["run"]["copied"]) == ("completed", 2)


async def test_a_document_that_came_in_a_request_is_retried(served):
    document = {
        "metadata": {"name": "sent"},
        "tasks": {
            "default": [
                {
                    "id": "read",
                    "description": "Read",
                    "steps": [
                        {"tool": "read_file", "with": {"path": "${run.workspace}/hello.yaml"}}
                    ],
                }
            ]
        },
        "security": {"capabilities_required": ["fs:read:${run.workspace}/**"]},
    }
    run = await served.begin(document)
    await served.ended(run)
    step = (await spans(served, run))[0]["event"]
    status, body, _ = await retry(served, run, step)
    assert status == 201, body
    assert (await served.ended(body["run"]["run"]))["run"]["copied"] == 0

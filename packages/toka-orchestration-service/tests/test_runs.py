"""Runs over HTTP: begun, looked at, cancelled, refused, gone on with after a restart."""

import sys

import anyio
import pytest

from toka.runtime import LogFailed
from toka.store.core import StoreFailed

pytestmark = pytest.mark.anyio

UNKNOWN = "01JD3X8ZK5Q6T7V8W9XAYBZCDE"


async def test_begins_a_run_and_goes_on_to_its_end(served, tmp_path):
    status, body, answer = await served.ask(
        "/v1/runs", method="POST", json={"source": "hello.yaml", "inputs": {"name": "Ada"}}
    )
    assert status == 201
    run = body["run"]["run"]
    assert answer.headers["Location"] == f"/v1/runs/{run}"
    detail = await served.ended(run)
    assert detail["run"]["state"] == "completed"
    (made,) = (tmp_path / "data" / "runs").rglob("hello.txt")
    assert str(made.parent) == detail["artifacts"]
    assert made.read_text() == "Hello, Ada!"


async def test_begins_a_run_from_a_document_in_the_request(served):
    document = {
        "metadata": {"name": "inline"},
        "tasks": {
            "default": [
                {
                    "id": "list",
                    "description": "List",
                    "steps": [{"tool": "list_files", "with": {"path": "."}, "as": "files"}],
                }
            ]
        },
        "security": {"capabilities_required": ["fs:read:${run.workspace}/**"]},
    }
    run = await served.begin(document)
    detail = await served.ended(run)
    assert detail["run"]["name"] == "inline"
    assert detail["run"]["state"] == "completed", detail


async def test_a_document_may_not_name_code(served, tmp_path):
    document = {
        "metadata": {"name": "sly"},
        "tasks": {"default": [{"id": "x", "description": "x", "entry": "asking:ask"}]},
    }
    status, body, _ = await served.ask("/v1/runs", method="POST", json={"source": document})
    assert (status, body["code"]) == (422, "service.invalid")
    assert not list((tmp_path / "data" / "specs").iterdir())


@pytest.mark.parametrize("source", ["../outside.yaml", "/etc/passwd", "link.yaml", "a\0b"])
async def test_reads_nothing_outside_the_workspace(served, workspace, source):
    (workspace.parent / "outside.yaml").write_text("metadata: {name: outside}")
    (workspace / "link.yaml").symlink_to(workspace.parent / "outside.yaml")
    status, body, _ = await served.ask("/v1/runs", method="POST", json={"source": source})
    assert (status, body["code"]) == (422, "service.invalid")


async def test_a_faulty_specification_starts_nothing(served):
    before = served.runtime.position
    status, body, _ = await served.ask("/v1/runs", method="POST", json={"source": "broken.yaml"})
    assert status == 422
    assert body["code"].startswith("spec.")
    assert "taks" in body["detail"]
    assert served.runtime.position == before


async def test_a_token_must_cover_what_the_agents_ask_for(served):
    weak = served.token("run:*:*", "agent:*:**")
    status, body, _ = await served.ask(
        "/v1/runs", method="POST", json={"source": "hello.yaml"}, token=weak
    )
    assert (status, body["code"]) == (403, "kernel.capability_denied")


async def test_an_idempotency_key_begins_one_run(served):
    how = {"headers": {"Idempotency-Key": "once"}}
    first, second = await served.begin("hello.yaml", **how), await served.begin("hello.yaml", **how)
    assert first == second
    _, page, _ = await served.ask("/v1/runs")
    assert [run["run"] for run in page["runs"]] == [first]


async def test_an_idempotency_key_is_not_for_another_request(served):
    how = {"headers": {"Idempotency-Key": "once"}}
    await served.begin("hello.yaml", **how)
    other = {"source": "hello.yaml", "inputs": {"name": "Bob"}}
    status, body, _ = await served.ask("/v1/runs", method="POST", json=other, **how)
    assert (status, body["code"]) == (422, "service.key_reused")


async def test_cancels_a_run_once(served):
    run = await served.begin("asking.yaml")
    await served.until("/v1/approvals", lambda body: body["approvals"])
    status, body, _ = await served.ask(
        f"/v1/runs/{run}/cancel", method="POST", json={"reason": "Not wanted."}
    )
    assert (status, body["state"], body["reason"]) == (200, "cancelled", "Not wanted.")
    status, body, _ = await served.ask(f"/v1/runs/{run}/cancel", method="POST")
    assert (status, body["code"]) == (409, "service.conflict")


async def test_an_unknown_run_is_not_found(served):
    for path, method in ((f"/v1/runs/{UNKNOWN}", "GET"), (f"/v1/runs/{UNKNOWN}/cancel", "POST")):
        status, body, _ = await served.ask(path, method=method)
        assert (status, body["code"]) == (404, "service.not_found")


async def test_pages_hold_every_run_once(served):
    begun = [await served.begin("hello.yaml") for _ in range(5)]
    seen: list[str] = []
    after = ""
    while after is not None:
        _, page, _ = await served.ask(f"/v1/runs?limit=2&after={after}")
        assert len(page["runs"]) <= 2
        seen += [run["run"] for run in page["runs"]]
        after = page["next"]
    assert seen == begun[::-1]


async def test_runs_are_chosen_by_state_and_text(served):
    done = [await served.begin("hello.yaml") for _ in range(2)]
    for run in done:
        await served.ended(run)
    open_one = await served.begin("asking.yaml")
    await served.until("/v1/approvals", lambda body: body["approvals"])

    async def chosen(query: str) -> list[str]:
        return [run["run"] for run in (await served.ask(f"/v1/runs?{query}"))[1]["runs"]]

    assert await chosen("order=oldest") == [*done, open_one]
    assert await chosen("state=running") == [open_one]
    assert await chosen("state=completed&limit=1") == [done[1]]
    assert await chosen(f"state=completed&limit=1&after={done[1]}") == [done[0]]
    assert await chosen("state=running&state=completed&text=HELLO") == done[::-1]
    assert await chosen(f"text={open_one[-8:]}") == [open_one]
    for query in ("state=odd", "order=random", "&".join(["state=failed"] * 33)):
        assert (await served.ask(f"/v1/runs?{query}"))[0] == 400, query


async def test_a_run_that_has_ended_says_how_long_it_took(served):
    body = await served.ended(await served.begin("hello.yaml"))
    assert 0 < body["run"]["duration_seconds"] < 10


async def test_goes_on_with_an_unfinished_run_after_a_restart(opener):
    async with opener() as served:
        run = await served.begin("asking.yaml")
        await served.until("/v1/approvals", lambda body: body["approvals"])
    async with opener() as served:
        began = anyio.current_time()
        body = await served.until("/v1/approvals", lambda body: body["approvals"])
        await served.until(f"/v1/runs/{run}", lambda body: body["run"]["state"] == "running")
        assert anyio.current_time() - began < 1
        asked = body["approvals"][0]["approval"]
        await served.ask(f"/v1/approvals/{asked}", method="POST", json={"decision": "approve"})
        assert (await served.ended(run))["run"]["state"] == "completed"


async def test_a_run_that_cannot_go_on_is_reported_and_the_others_go_on(opener, workspace):
    async with opener() as served:
        run = await served.begin("asking.yaml")
        await served.until("/v1/approvals", lambda body: body["approvals"])
    (code,) = workspace.glob("*.py")
    code.write_text("async def ask(ctx):\n    return await ctx.now()\n")
    del sys.modules[code.stem]  # as in a new process
    async with opener() as served:
        status = await served.until("/status", lambda body: body["error"])
        assert run in status["error"]
        _, body, _ = await served.ask(f"/v1/runs/{run}")
        assert body["run"]["state"] == "interrupted"
        assert (await served.ended(await served.begin("hello.yaml")))["run"]["state"] == "completed"


async def test_a_log_that_fails_ends_the_service(opener, monkeypatch):
    async def fail(*_: object, **__: object) -> None:
        raise StoreFailed("The disk is full.")

    async def serve_for_ever() -> None:
        async with opener() as served:
            run = await served.begin("ticking.yaml")
            await served.until(f"/v1/runs/{run}", lambda body: body["run"]["steps"])
            monkeypatch.setattr(served.runtime.store, "append", fail)
            await anyio.sleep_forever()

    with pytest.raises(ExceptionGroup) as raised:
        await serve_for_ever()
    assert raised.group_contains(LogFailed)


async def test_nothing_is_acknowledged_that_is_not_on_disk(served, monkeypatch):
    async def fail(*_: object, **__: object) -> None:
        raise StoreFailed("The disk is full.")

    monkeypatch.setattr(served.runtime.store, "append", fail)
    status, body, answer = await served.ask(
        "/v1/runs", method="POST", json={"source": "hello.yaml"}
    )
    assert (status, body["code"]) == (503, "runtime.log_failed")
    assert answer.headers["Retry-After"] == "1"
    assert (await served.ask("/v1/runs"))[1]["runs"] == []

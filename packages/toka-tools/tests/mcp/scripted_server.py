"""A server over stdio that does what it is told to, well and badly. Standard library only.

    python scripted_server.py [old | new | mute | noisy | flood | other] [FILE]

FILE, if it is there, holds the description of `echo`, so that a test can change it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NEW = "2026-07-28"
OLD = "2025-11-25"
ERA = sys.argv[1] if len(sys.argv) > 1 else "old"
FILE = Path(sys.argv[2]) if len(sys.argv) > 2 else None
NOTHING = {"type": "object"}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}}
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
STARTED = 0


def send(message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def note(method: str, params: object) -> None:
    send({"jsonrpc": "2.0", "method": method, "params": params})


def tools() -> list[dict[str, object]]:
    said = FILE.read_text() if FILE is not None and FILE.exists() else "Say it again."
    plain = "ask cancelled die garbage giant image million never other_id progress remember sample"
    return [
        {
            "name": "echo",
            "description": said,
            "inputSchema": TEXT,
            "annotations": {"readOnlyHint": True},
        },
        {"name": "promise", "inputSchema": NOTHING, "outputSchema": NUMBER},
        {"name": "broken_promise", "inputSchema": NOTHING, "outputSchema": NUMBER},
        {"name": "spawn", "inputSchema": NOTHING},
        {"name": "work", "inputSchema": NOTHING},
        {"name": "toil", "inputSchema": NOTHING},
        *[{"name": name, "inputSchema": NOTHING} for name in plain.split()],
    ]


def text(said: str, **more: object) -> dict[str, object]:
    return {"content": [{"type": "text", "text": said}], **more}


CANCELLED: list[object] = []
TASKS: dict[str, int] = {}


def call(request: Any) -> dict[str, object] | None:  # noqa: C901, PLR0911, PLR0912
    params = request["params"]
    name, number = params["name"], request["id"]
    if name == "echo":
        return text(params["arguments"].get("text", ""))
    if name == "promise":
        return text('{"n": 7}', structuredContent={"n": 7})
    if name == "broken_promise":
        return text("x", structuredContent={"n": "seven"})
    if name == "die":
        os._exit(3)
    if name == "cancelled":
        return text(json.dumps(CANCELLED))
    if name == "never":
        return None
    if name == "giant":
        sys.stdout.write('{"jsonrpc": "2.0", "id": 1, "result": {"x": "')
        for _ in range(400):
            sys.stdout.write("y" * 100_000)
        sys.stdout.flush()
        time.sleep(60)
    if name == "million":
        return {"content": [{"type": "text", "text": "z"}] * 5_000}
    if name == "garbage":
        for line in ("log: hello", "{", "[1]", '{"jsonrpc": "1.0"}', '{"jsonrpc":"2.0","id":true}'):
            sys.stdout.write(line + "\n")
        sys.stdout.write("\x1b[2J\xff" * 3 + "\n")
        return text("after the garbage")
    if name == "other_id":
        for wrong in (str(number), number + 1, number + 1000, -1, 0):
            send({"jsonrpc": "2.0", "id": wrong, "result": text("for somebody else")})
        send({"jsonrpc": "2.0", "id": number, "result": text("the right one")})
        return text("the right one again")
    if name == "progress":
        token = params.get("_meta", {}).get("progressToken")
        for wrong in (token, "x", None, True, 10**9):
            note("notifications/progress", {"progressToken": wrong, "progress": 1, "total": 2})
        return text("done")
    if name == "image":
        picture = {"type": "image", "mimeType": "image/png", "data": "AAAA"}
        page = {"type": "resource", "resource": {"uri": "x:y", "mimeType": "a/b", "text": "page"}}
        link = {"type": "resource_link", "uri": "x:z", "name": "z"}
        return {"content": [picture, page, link, {"type": "hologram"}], "isError": True}
    if name == "ask":
        return ask(request, "elicitation/create", {"message": "Sure?", "requestedSchema": NOTHING})
    if name == "sample":
        return ask(request, "sampling/createMessage", {"messages": []})
    if name == "spawn":
        child = subprocess.Popen(["sleep", "1000"], start_new_session=True)  # noqa: S607
        return text(str(child.pid))
    if name in ("work", "toil"):
        return begin_task(name)
    if name == "remember":
        return text(str(os.getpid()))
    return {"isError": True, "content": []}


def ask(request: Any, method: str, params: object) -> dict[str, object] | None:
    answers = request["params"].get("inputResponses")
    if ERA != "new":
        send({"jsonrpc": "2.0", "id": f"ask-{request['id']}", "method": method, "params": params})
        return None
    if answers is None:
        question = {"method": method, "params": params}
        return {
            "resultType": "input_required",
            "inputRequests": {"one": question},
            "requestState": "sealed",
        }
    return text(json.dumps([answers, request["params"].get("requestState")]))


def begin_task(name: str) -> dict[str, object]:
    TASKS[name] = 0
    state = {"taskId": name, "status": "working", "pollIntervalMs": 20, "pollInterval": 20}
    return {"resultType": "task", **state} if ERA == "new" else {"task": state}


def task(method: str, name: str) -> dict[str, object]:
    if method == "tasks/cancel":
        CANCELLED.append("task")
        return {}
    if method == "tasks/result":
        return text("worked")
    TASKS[name] += 1
    if TASKS[name] < 3 or name == "toil":
        return {"taskId": name, "status": "working", "pollIntervalMs": 20}
    return {"taskId": name, "status": "completed", "result": text("worked")}


def answer(request: Any) -> dict[str, object] | None:
    method = request["method"]
    if method == "initialize":
        capabilities = {"tools": {"listChanged": True}}
        return {"protocolVersion": OLD, "capabilities": capabilities, "serverInfo": {}}
    if method == "tools/list":
        return {"tools": tools()}
    if method.startswith("tasks/"):
        return task(method, request["params"]["taskId"])
    return call(request)


def serve() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        method = message.get("method")
        if method == "notifications/cancelled":
            CANCELLED.append(message["params"]["requestId"])
        elif method is None and str(message.get("id", "")).startswith("ask-"):
            number = int(message["id"][4:])
            said = message.get("result", message.get("error"))
            send({"jsonrpc": "2.0", "id": number, "result": text(json.dumps(said))})
        elif method == "server/discover":
            discover(message)
        elif "id" in message and ERA != "mute":
            result = answer(message)
            if result is not None:
                send({"jsonrpc": "2.0", "id": message["id"], "result": result})


def discover(message: dict[str, object]) -> None:
    if ERA == "new":
        result = {"supportedVersions": [NEW], "capabilities": {"tools": {}}, "serverInfo": {}}
        send({"jsonrpc": "2.0", "id": message["id"], "result": result})
    elif ERA == "other":
        error = {"code": -32022, "message": "no", "data": {"supported": ["2031-01-01"]}}
        send({"jsonrpc": "2.0", "id": message["id"], "error": error})
    elif ERA != "mute":
        send({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}})


if __name__ == "__main__":
    if ERA == "flood":
        while True:
            note("notifications/tools/list_changed", {})
    if ERA == "noisy":
        while True:
            sys.stdout.write("noise\n")
    serve()

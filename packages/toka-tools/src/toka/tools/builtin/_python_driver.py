"""What `run_python` runs: takes code from standard input, and leaves its value in a file.

Standard library only; it is handed to the interpreter as text and imports nothing of Toka.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import traceback
from typing import Any

_FILE = "<code>"


def main() -> int:
    """Run the code, and return its exit status."""
    asked = json.load(sys.stdin)
    with open(os.devnull) as nothing:  # noqa: PTH123 - pathlib costs 10 ms at import
        os.dup2(nothing.fileno(), 0)
    sys.path[:0] = asked["packages"]
    answer: dict[str, Any] = {"value": None}
    status = 0
    try:
        answer["value"] = _run(asked["code"], asked["data"], asked["workspace"])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:  # noqa: BLE001 - the code may raise anything, which is its result
        answer["error"] = _told(error)
        status = 1
    sys.stdout.flush()
    _leave(answer, asked["answer"])
    return status


def _run(code: str, data: object, workspace: str) -> object:
    """Run the code; its value is that of its last expression, or else of the name `result`."""
    tree = ast.parse(code, _FILE)
    last = tree.body[-1] if tree.body else None
    names: dict[str, Any] = {"__name__": "__main__", "data": data, "workspace": workspace}
    if isinstance(last, ast.Expr):
        tree.body.pop()
    exec(compile(tree, _FILE, "exec"), names)  # noqa: S102 - what this is for
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), _FILE, "eval"), names)  # noqa: S307
    return names.get("result")


def _told(error: BaseException) -> dict[str, Any]:
    """Print where an error comes from, without this module, and return it."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILE
    ]
    line = frames[-1].lineno if frames else getattr(error, "lineno", None)
    for text in traceback.format_exception_only(error):
        sys.stderr.write(text)
    for frame in reversed(frames):
        sys.stderr.write(f"  in line {frame.lineno}, {frame.name}\n")
    return {"type": type(error).__name__, "message": str(error)[:2_000], "line": line}


def _leave(answer: dict[str, Any], path: str) -> None:
    try:
        text = json.dumps(answer, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        answer["repr"] = repr(answer["value"])[:20_000]
        answer["value"] = None
        text = json.dumps(answer)
    # Whatever the code put there in its place, this neither waits for it nor follows it.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
    with os.fdopen(os.open(path, flags, 0o600), "w") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())

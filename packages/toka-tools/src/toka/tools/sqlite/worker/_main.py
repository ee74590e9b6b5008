"""The worker's life: a question, an answer, the end."""

from __future__ import annotations

import json
import os
import signal
import sys

from ._answer import answer
from ._question import Question
from ._time import Deadline


def main() -> None:
    """Answer the question on standard input."""
    question = Question(**json.load(sys.stdin))
    deadline = Deadline(question.timeout_ns)
    # Who cancels the call ends this process; a change in progress is taken back first.
    signal.signal(signal.SIGTERM, lambda _number, _frame: deadline.end())
    document = answer(question, deadline)
    sys.stdout.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")))
    sys.stdout.flush()
    os._exit(0)  # The interpreter's own farewell has nothing to do here.

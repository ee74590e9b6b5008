"""What the host offers components: interfaces, their resources and functions, and the grants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from toka.cvm.components._types import Signature, Type

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.cvm._host_function import Grant

Body: TypeAlias = "Callable[..., object]"
"""Takes the session and the guest's values, and returns the function's."""


class WitError(Exception):
    """Raised by a body whose function returns a result: becomes its `err`."""

    def __init__(self, value: object = None) -> None:
        super().__init__(str(value))
        self.value = value


@attrs.frozen
class HostFunction:
    """One host function."""

    interface: str
    """Without its patch version, as in `wasi:io/streams@0.2`."""
    name: str
    signature: Signature
    body: Body
    grant: Grant | None = None
    deterministic: bool = True


class Interface:
    """Collects the functions and the resources of one interface."""

    def __init__(self, name: str, *resources: str) -> None:
        self.name = name
        self.resources: Final = resources
        self.functions: list[HostFunction] = []

    def add(
        self,
        name: str,
        *parameters: Type,
        returns: Type | None = None,
        grant: Grant | None = None,
        deterministic: bool = True,
    ) -> Callable[[Body], Body]:
        """Take the decorated function under a name.

        Args:
            name: In WIT, with `[method]...` where it is one.
            parameters: Their types.
            returns: The type of its result. Of a `result`, the body returns what is `ok`, and
                raises `WitError` for the rest.
            grant: What has to be granted before it is linked.
            deterministic: Whether a deterministic machine has it.
        """

        def take(body: Body) -> Body:
            signature = Signature(parameters, returns)
            one = HostFunction(self.name, name, signature, body, grant, deterministic)
            self.functions.append(one)
            return body

        return take


def plain_name(interface: str) -> str:
    """Return an interface's name without its patch version: `a:b/c@0.2.3` is `a:b/c@0.2`.

    Within a minor version functions are only added (the semantic versions of WIT packages).
    """
    name, mark, version = interface.partition("@")
    return f"{name}{mark}{'.'.join(version.split('.')[:2])}"

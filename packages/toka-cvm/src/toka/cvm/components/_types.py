"""Types of the component model, as the host tables write them and as a component says them.

Resources have no identity here: what a handle stands for is looked at when it is used. Everything
else is compared whole, so that a component's import is linked only to a function of its own type.
Specification: WebAssembly/component-model, design/mvp/Explainer.md, "Type Definitions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable


@attrs.frozen
class Type:
    """One type: its kind, what it is made of, and the names of its parts."""

    kind: str
    parts: tuple[Type | None, ...] = ()
    """For a case or a side of a result without a value, None."""
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.parts and not self.names:
            return self.kind
        names = self.names or ("",) * len(self.parts)
        parts = self.parts or (None,) * len(self.names)
        inner = [
            ": ".join(filter(None, [name, str(part) if part else "" if name else "_"]))
            for name, part in zip(names, parts, strict=True)
        ]
        return f"{self.kind}<{', '.join(inner)}>"


BOOL: Final = Type("bool")
U8: Final = Type("u8")
U16: Final = Type("u16")
U32: Final = Type("u32")
U64: Final = Type("u64")
STRING: Final = Type("string")
OWN: Final = Type("own")
BORROW: Final = Type("borrow")


def list_of(part: Type) -> Type:
    """Return the type of a list."""
    return Type("list", (part,))


def option(part: Type) -> Type:
    """Return the type of what may be missing."""
    return Type("option", (part,))


def result(ok: Type | None = None, error: Type | None = None) -> Type:
    """Return the type of a result."""
    return Type("result", (ok, error))


def tuple_of(*parts: Type) -> Type:
    """Return the type of a tuple."""
    return Type("tuple", parts)


def record(**fields: Type) -> Type:
    """Return the type of a record; `_` in a name stands for `-`."""
    return Type("record", tuple(fields.values()), _names(fields))


def variant(**cases: Type | None) -> Type:
    """Return the type of a variant; `_` in a name stands for `-`."""
    return Type("variant", tuple(cases.values()), _names(cases))


def enum(*names: str) -> Type:
    """Return the type of an enumeration."""
    return Type("enum", (), names)


def flags(*names: str) -> Type:
    """Return the type of a set of flags."""
    return Type("flags", (), names)


def _names(fields: Iterable[str]) -> tuple[str, ...]:
    return tuple([name.replace("_", "-") for name in fields])


BYTES: Final = list_of(U8)


@attrs.frozen
class Signature:
    """What a function takes and returns."""

    parameters: tuple[Type, ...] = ()
    result: Type | None = None

    def __str__(self) -> str:
        takes = ", ".join([str(one) for one in self.parameters])
        return f"({takes})" + (f" -> {self.result}" if self.result else "")

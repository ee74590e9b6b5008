"""What a component imports and exports, read from wasmtime's Python classes."""

# ruff: noqa: ANN401 - wasmtime's classes of types are not typed

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

import attrs

from toka.cvm._errors import ModuleTooLargeError
from toka.cvm.components._types import Signature, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import wasmtime
    import wasmtime.component as wit

_DEEPEST: Final = 32

_types: Any = importlib.import_module("wasmtime.component._types")
_resource_type: Any = importlib.import_module("wasmtime.component").ResourceType


@attrs.frozen
class WantedFunction:
    """A function that a component imports."""

    interface: str
    """As it stands in the component, with its whole version; empty for one outside of any."""
    name: str
    signature: Signature | None
    """None where it is no function, or has a type that is not known here."""


@attrs.frozen
class Described:
    """What a component imports and exports."""

    functions: tuple[WantedFunction, ...]
    resources: tuple[tuple[str, str], ...]
    """Interface and name."""
    exports: Mapping[str, Signature | None]
    """By name; of a function in an instance, `INSTANCE#NAME`. None where it cannot be called."""


def described(engine: wasmtime.Engine, component: wit.Component, most: int) -> Described:
    """Read the types of a component.

    Args:
        engine: That compiled it.
        component: Compiled.
        most: How many functions, resources and parts of types it may have; few bytes can say many.

    Raises:
        ModuleTooLargeError: It has more.
    """
    return _Reading(engine, most).whole(component)


_PLAIN: Final = {
    _types.Bool: "bool",
    _types.Char: "char",
    _types.String: "string",
    _types.OwnType: "own",
    _types.BorrowType: "borrow",
} | {
    getattr(_types, name.upper()): name
    for name in ("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64")
}


class _Reading:
    """One reading of a component's types, with what it may still take."""

    def __init__(self, engine: wasmtime.Engine, most: int) -> None:
        self._engine, self._most, self._left = engine, most, most
        self._functions: list[WantedFunction] = []
        self._resources: list[tuple[str, str]] = []

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ModuleTooLargeError(
                f"The component's types have over {self._most} parts.",
                hint="Raise the limit in ModuleLimits if you trust its author.",
                details={"what": "parts of types", "limit": self._most},
            )

    def whole(self, component: wit.Component) -> Described:
        kind, engine = component.type, self._engine
        for name, extern in kind.imports(engine).items():
            item: Any = extern.ty
            if not isinstance(item, _types.ComponentInstanceType):
                self._count()
                self._functions.append(WantedFunction("", name, None))
                continue
            inner: dict[str, Any] = item.exports(engine)
            for part, one in inner.items():
                self._sort(name, part, one.ty)
        exports: dict[str, Signature | None] = {}
        for name, extern in kind.exports(engine).items():
            exports |= self._exported(name, extern.ty)
        return Described(tuple(self._functions), tuple(self._resources), exports)

    def _exported(self, name: str, item: Any) -> dict[str, Signature | None]:
        if isinstance(item, _types.FuncType):
            return {name: self._signature(item)}
        if not isinstance(item, _types.ComponentInstanceType):
            return {}
        inner: dict[str, Any] = item.exports(self._engine)
        return {
            f"{name}#{part}": self._signature(found)
            for part, one in inner.items()
            if isinstance(found := one.ty, _types.FuncType)
        }

    def _sort(self, interface: str, name: str, item: Any) -> None:
        self._count()
        if isinstance(item, _types.FuncType):
            self._functions.append(WantedFunction(interface, name, self._signature(item)))
        elif isinstance(item, _resource_type):
            self._resources.append((interface, name))
        elif not isinstance(item, _types.ValType):
            self._functions.append(WantedFunction(interface, name, None))

    def _signature(self, function: Any) -> Signature | None:
        self._count()
        try:
            result = function.result
            return Signature(
                tuple([self._type(one, 0) for _, one in function.params]),
                None if result is None else self._type(result, 0),
            )
        except (KeyError, TypeError):  # The library's word for a type that it does not know.
            return None

    def _type(self, kind: Any, depth: int) -> Type:
        self._count()
        plain = _PLAIN.get(type(kind))
        if plain is not None:
            return Type(plain)
        if depth > _DEEPEST:
            raise KeyError(kind)
        name, pairs = _COMPOUND[type(kind)](kind)
        names = tuple([one for one, _ in pairs if one])
        if name in {"enum", "flags"}:
            return Type(name, (), names)
        parts = tuple([None if one is None else self._type(one, depth + 1) for _, one in pairs])
        return Type(name, parts, names)


def _unnamed(*kinds: Any) -> list[tuple[str, Any]]:
    return [("", one) for one in kinds]


_COMPOUND: Final[Mapping[Any, Callable[[Any], tuple[str, Sequence[tuple[str, Any]]]]]] = {
    _types.ListType: lambda one: ("list", _unnamed(one.element)),
    _types.OptionType: lambda one: ("option", _unnamed(one.payload)),
    _types.ResultType: lambda one: ("result", _unnamed(one.ok, one.err)),
    _types.TupleType: lambda one: ("tuple", _unnamed(*one.elements)),
    _types.RecordType: lambda one: ("record", one.fields),
    _types.VariantType: lambda one: ("variant", one.cases),
    _types.EnumType: lambda one: ("enum", [(name, None) for name in one.names]),
    _types.FlagsType: lambda one: ("flags", [(name, None) for name in one.names]),
}

"""What a component imports and exports, read from wasmtime's Python classes."""

# ruff: noqa: ANN401 - wasmtime's classes of types are not typed

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

import attrs

from toka.cvm.components._types import Signature, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import wasmtime
    import wasmtime.component as wit

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


def described(engine: wasmtime.Engine, component: wit.Component) -> Described:
    """Read the types of a component."""
    functions: list[WantedFunction] = []
    resources: list[tuple[str, str]] = []
    kind = component.type
    for name, extern in kind.imports(engine).items():
        item: Any = extern.ty
        if not isinstance(item, _types.ComponentInstanceType):
            functions.append(WantedFunction("", name, None))
            continue
        inner: dict[str, Any] = item.exports(engine)
        for part, one in inner.items():
            _sort(name, part, one.ty, functions, resources)
    exports: dict[str, Signature | None] = {}
    for name, extern in kind.exports(engine).items():
        item = extern.ty
        if isinstance(item, _types.FuncType):
            exports[name] = _signature(item)
        elif isinstance(item, _types.ComponentInstanceType):
            exports |= {
                f"{name}#{part}": _signature(found)
                for part, one in item.exports(engine).items()
                if isinstance(found := one.ty, _types.FuncType)
            }
    return Described(tuple(functions), tuple(resources), exports)


def _sort(
    interface: str,
    name: str,
    item: Any,
    functions: list[WantedFunction],
    resources: list[tuple[str, str]],
) -> None:
    if isinstance(item, _types.FuncType):
        functions.append(WantedFunction(interface, name, _signature(item)))
    elif isinstance(item, _resource_type):
        resources.append((interface, name))
    elif not isinstance(item, _types.ValType):
        functions.append(WantedFunction(interface, name, None))


def _signature(function: Any) -> Signature | None:
    try:
        result = function.result
        return Signature(
            tuple([_type(one) for _, one in function.params]),
            None if result is None else _type(result),
        )
    except KeyError:
        return None


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


def _type(kind: Any) -> Type:
    plain = _PLAIN.get(type(kind))
    return Type(plain) if plain is not None else _COMPOUND[type(kind)](kind)


def _maybe(kind: Any) -> Type | None:
    return None if kind is None else _type(kind)


def _fields(name: str, pairs: Sequence[tuple[str, Any]]) -> Type:
    return Type(name, tuple([_maybe(one) for _, one in pairs]), tuple([one for one, _ in pairs]))


_COMPOUND: Final[Mapping[Any, Callable[[Any], Type]]] = {
    _types.ListType: lambda one: Type("list", (_type(one.element),)),
    _types.OptionType: lambda one: Type("option", (_type(one.payload),)),
    _types.ResultType: lambda one: Type("result", (_maybe(one.ok), _maybe(one.err))),
    _types.TupleType: lambda one: Type("tuple", tuple([_type(part) for part in one.elements])),
    _types.RecordType: lambda one: _fields("record", one.fields),
    _types.VariantType: lambda one: _fields("variant", one.cases),
    _types.EnumType: lambda one: Type("enum", (), tuple(one.names)),
    _types.FlagsType: lambda one: Type("flags", (), tuple(one.names)),
}

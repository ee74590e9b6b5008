"""Values between a component and Python, on the C structures beneath wasmtime's Python classes.

| WIT | Python |
|---|---|
| integers, floats, bool, string, char | `int`, `float`, `bool`, `str` |
| list<u8> | `bytes`; other lists `list`, tuples `tuple` |
| record | `dict` by name |
| enum, flags | `str`, `frozenset` of `str` |
| variant, result | `(case, value)`, with `ok` and `err` for a result |
| option | the value, or None |
| own, borrow | an object of the host, by the store's table |

Every byte is charged before it is copied, and a list of bytes is copied as a whole: element by
element it would cost the host a thousand times what it costs the guest.
"""

# ruff: noqa: ANN401 - values of ctypes have no type

from __future__ import annotations

import ctypes
import importlib
from ctypes import byref
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from toka.cvm._errors import GuestCallError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from toka.cvm.components._types import Type

# The names are ctypes objects without types, so they are Any here and nowhere else.
_ffi: Any = importlib.import_module("wasmtime._ffi")

VALUE: Final[Any] = _ffi.wasmtime_component_val_t
VALUE_SIZE: Final = int(ctypes.sizeof(VALUE))
_PAYLOAD: Final = int(VALUE.of.offset)
_ELEMENT: Final = 8
_LONGEST_LETTER: Final = 4
_KINDS: Final = {
    name: int(getattr(_ffi, f"WASMTIME_COMPONENT_{name.upper()}").value)
    for name in (
        *("bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char"),
        *("string", "list", "record", "tuple", "variant", "enum", "option", "result", "flags"),
        "resource",
    )
}
_FIELDS: Final = {"bool": "boolean", "char": "character"}
_RANGES: Final = {
    f"{sign}{bits}": (0, (1 << bits) - 1)
    if sign == "u"
    else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    for sign in "us"
    for bits in (8, 16, 32, 64)
}


class Handles(Protocol):
    """What stands behind resources, and what values cost."""

    def charge(self, size: int) -> None:
        """Account for bytes before they are copied."""
        ...

    def take(self, resource: Any, *, borrowed: bool) -> object:
        """Return the object that a guest's handle stands for, and give the handle back."""
        ...

    def lend(self, value: object) -> Any:
        """Return a handle for an object that the guest owns from now on."""
        ...


# --- From a component ---


def lift(kind: Type, value: Any, handles: Handles) -> object:
    """Return a value of a component."""
    of = value.of
    lifter = _LIFTERS.get(kind.kind)
    if lifter is not None:
        return lifter(kind, of, handles)
    handles.charge(_ELEMENT)
    number: object = getattr(of, _FIELDS.get(kind.kind, kind.kind))
    return chr(cast("int", number)) if kind.kind == "char" else number


def _text(name: Any, handles: Handles) -> str:
    handles.charge(int(name.size))
    # The component model lets nothing but UTF-8 pass.
    return ctypes.string_at(name.data, name.size).decode() if name.size else ""


def _lift_string(_kind: Type, of: Any, handles: Handles) -> str:
    return _text(of.string, handles)


def _lift_list(kind: Type, of: Any, handles: Handles) -> object:
    (part,), size = kind.parts, int(of.list.size)
    assert part is not None  # noqa: S101 - a list has a type of its items
    if part.kind == "u8":
        handles.charge(size)
        whole = ctypes.string_at(of.list.data, size * VALUE_SIZE) if size else b""
        return whole[_PAYLOAD::VALUE_SIZE]
    handles.charge(size * _ELEMENT)
    return [lift(part, of.list.data[at], handles) for at in range(size)]


def _lift_tuple(kind: Type, of: Any, handles: Handles) -> object:
    return tuple([_part(one, of.tuple.data[at], handles) for at, one in enumerate(kind.parts)])


def _lift_record(kind: Type, of: Any, handles: Handles) -> object:
    fields = zip(kind.names, kind.parts, strict=True)
    return {
        name: _part(part, of.record.data[at].val, handles) for at, (name, part) in enumerate(fields)
    }


def _part(kind: Type | None, value: Any, handles: Handles) -> object:
    return None if kind is None else lift(kind, value, handles)


def _boxed(kind: Type | None, pointer: Any, handles: Handles) -> object:
    return lift(kind, pointer.contents, handles) if kind is not None and pointer else None


def _lift_variant(kind: Type, of: Any, handles: Handles) -> object:
    name = _text(of.variant.discriminant, handles)
    return name, _boxed(kind.parts[kind.names.index(name)], of.variant.val, handles)


def _lift_enum(_kind: Type, of: Any, handles: Handles) -> str:
    return _text(of.enumeration, handles)


def _lift_option(kind: Type, of: Any, handles: Handles) -> object:
    return _boxed(kind.parts[0], of.option, handles)


def _lift_result(kind: Type, of: Any, handles: Handles) -> object:
    name = "ok" if of.result.is_ok else "err"
    return name, _boxed(kind.parts[0 if of.result.is_ok else 1], of.result.val, handles)


def _lift_flags(_kind: Type, of: Any, handles: Handles) -> object:
    return frozenset([_text(of.flags.data[at], handles) for at in range(of.flags.size)])


def _lift_resource(kind: Type, of: Any, handles: Handles) -> object:
    return handles.take(_ffi.take_pointer(of, "resource"), borrowed=kind.kind == "borrow")


_LIFTERS: Final[Mapping[str, Callable[[Type, Any, Handles], object]]] = {
    "string": _lift_string,
    "list": _lift_list,
    "tuple": _lift_tuple,
    "record": _lift_record,
    "variant": _lift_variant,
    "enum": _lift_enum,
    "option": _lift_option,
    "result": _lift_result,
    "flags": _lift_flags,
    "own": _lift_resource,
    "borrow": _lift_resource,
}


# --- To a component ---


def lower(kind: Type, value: object, into: Any, handles: Handles) -> None:
    """Write a value into a structure that is not in use; whoever calls deletes it.

    Raises:
        GuestCallError: The value is not of the type; the structure holds no memory then.
    """
    into.kind = _KINDS["bool"]  # Nothing to delete, should something below fail.
    into.of.boolean = False
    lowerer = _LOWERERS.get(kind.kind)
    if lowerer is None:
        _lower_scalar(kind, value, into)
        handles.charge(_ELEMENT)
        return
    lowerer(kind, value, into, handles)


def _wrong(kind: Type, value: object) -> GuestCallError:
    return GuestCallError(f"A {type(value).__name__} is no {str(kind)[:200]}.")


def _lower_scalar(kind: Type, value: object, into: Any) -> None:
    name = kind.kind
    low, high = _RANGES.get(name, (0, 0))
    if name in _RANGES:
        fits = type(value) is int and low <= value <= high
    elif name == "char":
        fits = isinstance(value, str) and len(value) == 1 and _is_text(value)
    else:
        fits = type(value) is {"bool": bool, "f32": float, "f64": float}.get(name)
    if not fits:
        raise _wrong(kind, value)
    setattr(into.of, _FIELDS.get(name, name), ord(value) if isinstance(value, str) else value)
    into.kind = _KINDS[name]


def _name(text: str, into: Any) -> None:
    data = text.encode()
    _ffi.wasm_byte_vec_new(
        byref(into), len(data), (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
    )


def _lower_string(kind: Type, value: object, into: Any, handles: Handles) -> None:
    if not isinstance(value, str) or not _is_text(value):
        raise _wrong(kind, value)
    handles.charge(len(value) * _LONGEST_LETTER)
    _name(value, into.of.string)
    into.kind = _KINDS["string"]


def _is_text(value: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _items(value: object, kinds: type | tuple[type, ...]) -> Sequence[object] | None:
    return cast("Sequence[object]", value) if isinstance(value, kinds) else None


def _lower_list(kind: Type, value: object, into: Any, handles: Handles) -> None:
    (part,) = kind.parts
    assert part is not None  # noqa: S101 - a list has a type of its items
    if part.kind == "u8" and isinstance(value, bytes):
        handles.charge(len(value))
        _lower_bytes(value, into)
        return
    items = _items(value, (list, tuple))
    if items is None:
        raise _wrong(kind, value)
    handles.charge(len(items) * _ELEMENT)
    into.of.list.size = 0
    _ffi.wasmtime_component_vallist_new_uninit(byref(into.of.list), len(items))
    into.kind = _KINDS["list"]
    _fill([(part, into.of.list.data[at]) for at in range(len(items))], items, into, handles)


def _lower_bytes(value: bytes, into: Any) -> None:
    size = len(value)
    _ffi.wasmtime_component_vallist_new_uninit(byref(into.of.list), size)
    if size:
        whole = bytearray(size * VALUE_SIZE)
        whole[0::VALUE_SIZE] = bytes([_KINDS["u8"]]) * size
        whole[_PAYLOAD::VALUE_SIZE] = value
        ctypes.memmove(into.of.list.data, bytes(whole), len(whole))
    into.kind = _KINDS["list"]


def _lower_tuple(kind: Type, value: object, into: Any, handles: Handles) -> None:
    items = _items(value, tuple)
    if items is None or len(items) != len(kind.parts):
        raise _wrong(kind, value)
    _ffi.wasmtime_component_valtuple_new_uninit(byref(into.of.tuple), len(kind.parts))
    into.kind = _KINDS["tuple"]
    places = [(part, into.of.tuple.data[at]) for at, part in enumerate(kind.parts)]
    _fill(places, items, into, handles)


def _lower_record(kind: Type, value: object, into: Any, handles: Handles) -> None:
    fields = cast("dict[object, object]", value) if isinstance(value, dict) else {}
    if set(fields) != set(kind.names):
        raise _wrong(kind, fields)
    _ffi.wasmtime_component_valrecord_new_uninit(byref(into.of.record), len(kind.names))
    into.kind = _KINDS["record"]
    entries = into.of.record.data
    for at, name in enumerate(kind.names):
        _name(name, entries[at].name)
    places = [(part, entries[at].val) for at, part in enumerate(kind.parts)]
    _fill(places, [fields[name] for name in kind.names], into, handles)


def _fill(
    places: Sequence[tuple[Type | None, Any]],
    values: Sequence[object],
    whole: Any,
    handles: Handles,
) -> None:
    for _, place in places:
        place.kind = _KINDS["bool"]
    try:
        for (part, place), value in zip(places, values, strict=True):
            if part is not None:
                lower(part, value, place, handles)
    except BaseException:
        _ffi.wasmtime_component_val_delete(byref(whole))
        whole.kind = _KINDS["bool"]
        raise


def _box(kind: Type | None, value: object, into: Any, handles: Handles) -> Any:
    """Return a pointer to a value, or leave nothing of the whole."""
    if kind is None:
        return None
    place = VALUE()
    try:
        lower(kind, value, place, handles)
    except BaseException:
        _ffi.wasmtime_component_val_delete(byref(into))
        into.kind = _KINDS["bool"]
        raise
    return _ffi.wasmtime_component_val_new(byref(place))


def _case(kind: Type, value: object) -> tuple[str, object]:
    items = _items(value, tuple)
    if items is None or len(items) != 2 or not isinstance(items[0], str):  # noqa: PLR2004 - a pair
        raise GuestCallError(f"A {str(kind)[:200]} is given as (case, value).")
    return items[0], items[1]


def _lower_variant(kind: Type, value: object, into: Any, handles: Handles) -> None:
    name, inner = _case(kind, value)
    if name not in kind.names:
        raise _wrong(kind, value)
    _name(name, into.of.variant.discriminant)
    into.of.variant.val = None
    into.kind = _KINDS["variant"]
    into.of.variant.val = _box(kind.parts[kind.names.index(name)], inner, into, handles)


def _lower_enum(kind: Type, value: object, into: Any, handles: Handles) -> None:
    if not isinstance(value, str) or value not in kind.names:
        raise _wrong(kind, value)
    handles.charge(_ELEMENT)
    _name(value, into.of.enumeration)
    into.kind = _KINDS["enum"]


def _lower_option(kind: Type, value: object, into: Any, handles: Handles) -> None:
    into.of.option = None
    into.kind = _KINDS["option"]
    if value is not None:
        into.of.option = _box(kind.parts[0], value, into, handles)


def _lower_result(kind: Type, value: object, into: Any, handles: Handles) -> None:
    name, inner = _case(kind, value)
    if name not in {"ok", "err"}:
        raise _wrong(kind, value)
    into.of.result.is_ok = name == "ok"
    into.of.result.val = None
    into.kind = _KINDS["result"]
    into.of.result.val = _box(kind.parts[0 if name == "ok" else 1], inner, into, handles)


def _lower_flags(kind: Type, value: object, into: Any, handles: Handles) -> None:
    given = isinstance(value, (set, frozenset))
    wanted = frozenset(cast("frozenset[object]", value)) if given else frozenset[object]()
    if not given or not wanted <= set(kind.names):
        raise GuestCallError(f"{str(kind)[:200]} is given as a set of its names.")
    chosen = [name for name in kind.names if name in wanted]
    handles.charge(len(chosen) * _ELEMENT)
    _ffi.wasmtime_component_valflags_new_uninit(byref(into.of.flags), len(chosen))
    for at, name in enumerate(chosen):
        _name(name, into.of.flags.data[at])
    into.kind = _KINDS["flags"]


def _lower_resource(_kind: Type, value: object, into: Any, handles: Handles) -> None:
    into.of.resource = handles.lend(value)
    into.kind = _KINDS["resource"]


_LOWERERS: Final[Mapping[str, Callable[[Type, Any, Any, Handles], None]]] = {
    "string": _lower_string,
    "list": _lower_list,
    "tuple": _lower_tuple,
    "record": _lower_record,
    "variant": _lower_variant,
    "enum": _lower_enum,
    "option": _lower_option,
    "result": _lower_result,
    "flags": _lower_flags,
    "own": _lower_resource,
}


def delete(value: Any) -> None:
    """Give back what a value holds."""
    _ffi.wasmtime_component_val_delete(byref(value))

"""Runs guests, on the C API beneath wasmtime's Python classes.

For two reasons:

- *Isolation.* wasmtime-py keeps the exception of a host function in one global variable, and
  raises it in whichever thread comes out of a guest next. Two guests in two threads would get
  each other's errors. Here an ending belongs to the session of its store.
- *Speed.* `Func.__call__` asks for the function's type at every call; here it is asked once.

Functions that return at once are bound so that they keep the interpreter's lock; only running a
guest gives it up.

Rules of this file: no policy. Whatever a guest may or may not do is decided by the `Session` that
the caller hands in. Nothing but `_wasmtime.py` and this file knows wasmtime.
"""

from __future__ import annotations

import ctypes
import importlib
import itertools
from abc import ABC, abstractmethod
from ctypes import byref, c_bool, c_char, c_char_p, c_size_t, c_uint8, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from weakref import WeakValueDictionary

import wasmtime

from toka.cvm._caller import Caller, out_of_fuel, quick
from toka.cvm._errors import (
    CvmError,
    GuestCallError,
    GuestEndedError,
    GuestTrapError,
    InvalidModuleError,
)
from toka.cvm._wasmtime import exports_of, first_line, imports_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toka.cvm._limits import Limits
    from toka.cvm._wasmtime import HostSignature, Kind, Number

# The names are ctypes objects without types, so they are Any here and nowhere else.
_ffi: Any = importlib.import_module("wasmtime._ffi")
_c: Any = ctypes
_dll: Any = _ffi.dll
_trap_class: Any = wasmtime.Trap
_error_class: Any = wasmtime.WasmtimeError

_MASK32: Final = 0xFFFF_FFFF
_MASK64: Final = 0xFFFF_FFFF_FFFF_FFFF
_EXTERN_FUNCTION: Final = int(_ffi.WASMTIME_EXTERN_FUNC.value)
STOP: Final = b"ended by the host"


_set_deadline = quick("wasmtime_context_set_epoch_deadline", None, c_void_p, c_uint64)
_get_data = quick("wasmtime_context_get_data", c_void_p, c_void_p)
_caller_context = quick("wasmtime_caller_context", c_void_p, c_void_p)
_store_new = quick("wasmtime_store_new", c_void_p, c_void_p, c_void_p, c_void_p)
_store_context = quick("wasmtime_store_context", c_void_p, c_void_p)
_store_delete = quick("wasmtime_store_delete", None, c_void_p)
_store_limits = quick("wasmtime_store_limiter", None, c_void_p, *[ctypes.c_int64] * 5)
_on_epoch = quick("wasmtime_store_epoch_deadline_callback", None, *[c_void_p] * 4)
_export_get = quick(
    "wasmtime_instance_export_get", c_bool, c_void_p, c_void_p, c_char_p, c_size_t, c_void_p
)
_trap_new = quick("wasmtime_trap_new", c_void_p, c_char_p, c_size_t)
_error_new = quick("wasmtime_error_new", c_void_p, c_char_p)
_func_call = ctypes.CFUNCTYPE(c_void_p, *[c_void_p] * 3, c_size_t, c_void_p)(
    ("wasmtime_func_call_unchecked", _dll)
)
_instantiate = ctypes.CFUNCTYPE(c_void_p, *[c_void_p] * 4)(
    ("wasmtime_instance_pre_instantiate", _dll)
)


class Session(Protocol):
    """Whose store it is: decides every host call, and every tick whether the guest goes on."""

    ending: BaseException | None
    """What ended the guest from inside a host call or a tick."""

    def host_call(self, number: int, arguments: list[int], caller: Caller) -> int | None:
        """Do a host call. Whatever it raises ends the guest and becomes `ending`."""
        ...

    def tick(self) -> None:
        """Raise to end a guest that computes; called at every tick of the engine."""
        ...


_sessions: WeakValueDictionary[int, AnyStore] = WeakValueDictionary()
_ids = itertools.count(1)


def session_of(context: Any) -> AnyStore | None:  # noqa: ANN401 - ctypes
    """Return the store that a context of wasmtime belongs to."""
    return _sessions.get(_get_data(context))


_CALLBACK: Any = _c.CFUNCTYPE(
    c_size_t, c_void_p, c_void_p, _c.POINTER(_ffi.wasmtime_val_raw_t), c_size_t
)


def _host_call(number: int | None, caller: int, raw: Any, _count: int) -> int:  # noqa: ANN401
    store: Store | None = None
    try:
        # Components have a callback of their own; functions of modules alone are bound to this one.
        store = cast("Store", _sessions[_get_data(_caller_context(caller))])
        store.caller.bind(caller)
        return store.host_call(number or 0, raw)
    except BaseException as error:  # noqa: BLE001 - nothing may unwind through C frames
        if store is not None:
            store.session.ending = error
        return int(_trap_new(STOP, len(STOP)))


def _on_tick(_context: int, data: int, delta: Any, _kind: Any) -> int:  # noqa: ANN401
    store: AnyStore | None = None
    try:
        store = _sessions[data]
        store.session.tick()
        delta[0] = 1
    except BaseException as error:  # noqa: BLE001 - nothing may unwind through C frames
        if store is not None:
            store.session.ending = error
        return int(_error_new(STOP))
    return 0


_host_function: Any = _CALLBACK(_host_call)
_ticked: Any = ctypes.CFUNCTYPE(
    c_size_t, c_void_p, c_void_p, ctypes.POINTER(c_uint64), ctypes.POINTER(c_uint8)
)(_on_tick)
_TICKED_ADDRESS: Final = _c.cast(_ticked, c_void_p).value


class Linked:
    """A module with its host functions in place, ready to be instantiated many times."""

    def __init__(
        self, engine: wasmtime.Engine, module: wasmtime.Module, table: Sequence[HostSignature]
    ) -> None:
        linker = wasmtime.Linker(engine)
        wanted = {(one.module, one.name) for one in imports_of(module)}
        for number, signature in enumerate(table):
            if (signature.module, signature.name) in wanted:
                _define(linker, number, signature)
        try:
            self.pre: Any = linker.instantiate_pre(module)
        except wasmtime.WasmtimeError as error:
            raise InvalidModuleError(f"The module does not link: {first_line(error)}.") from error
        # Addresses, taken once: `ctypes.cast` costs as much as a host call (tools/bench cvm).
        self.pre_address = address_of(self.pre)
        self.engine = engine
        self.engine_address = address_of(engine)
        self.table = table
        self.exports = exports_of(module)


def address_of(wrapper: Any) -> int:  # noqa: ANN401 - one of wasmtime's classes
    """Return where the thing behind one of wasmtime's classes lies."""
    address: int = _c.cast(wrapper.ptr(), c_void_p).value
    return address


def _define(linker: wasmtime.Linker, number: int, signature: HostSignature) -> None:
    results = [] if signature.result is None else [_value_type(signature.result)]
    kind: Any = wasmtime.FuncType([_value_type(one) for one in signature.parameters], results)
    any_linker: Any = linker
    module, name = signature.module.encode(), signature.name.encode()
    failed = _ffi.wasmtime_linker_define_func_unchecked(
        any_linker.ptr(),
        (c_char * len(module)).from_buffer_copy(module),
        len(module),
        (c_char * len(name)).from_buffer_copy(name),
        len(name),
        kind.ptr(),
        _c.cast(_host_function, _ffi.wasmtime_func_unchecked_callback_t),
        number,
        _c.cast(0, ctypes.CFUNCTYPE(None, c_void_p)),
    )
    if failed:
        raise _error_class._from_ptr(failed)  # noqa: SLF001 - this module wraps wasmtime


def _value_type(kind: Kind) -> wasmtime.ValType:
    makers: dict[Kind, Callable[[], wasmtime.ValType]] = {
        "i32": wasmtime.ValType.i32,
        "i64": wasmtime.ValType.i64,
        "f32": wasmtime.ValType.f32,
        "f64": wasmtime.ValType.f64,
    }
    return makers[kind]()


# --- Stores and calls ----------------------------------------------------------------------


class AnyStore(ABC):
    """A store of wasmtime, whose host calls and ticks are its session's."""

    def __init__(self, engine_address: int, session: Session, limits: Limits) -> None:
        self.session = session
        self._id = next(_ids)
        self._pointer: int | None = _store_new(engine_address, self._id, None)
        self.context: int = _store_context(self._pointer)
        self.caller = Caller(self.context)
        _sessions[self._id] = self
        _store_limits(self._pointer, *self.bounds(limits))
        _on_epoch(self._pointer, _TICKED_ADDRESS, self._id, None)

    def bounds(self, limits: Limits) -> tuple[int, int, int, int, int]:
        """Return the limits of memory, table elements, instances, tables and memories."""
        return limits.memory_bytes, limits.table_elements, 1, limits.tables, 1

    def set_deadline(self) -> None:
        """Let the next tick of the engine ask the session."""
        _set_deadline(self.context, 1)

    @abstractmethod
    def start(self) -> None:
        """Instantiate, which runs start functions.

        Raises:
            GuestEndedError: One of them ended the guest, or it needs more than its limits.
        """

    def close(self) -> None:
        """Give the store back. Idempotent."""
        _sessions.pop(self._id, None)
        if self._pointer is not None:
            pointer, self._pointer = self._pointer, None
            _store_delete(pointer)

    @property
    def closed(self) -> bool:
        """Whether it was given back."""
        return self._pointer is None

    def __del__(self) -> None:
        if self._pointer is not None:
            self.close()


class Store(AnyStore):
    """One instance of one module, in a store of its own."""

    def __init__(self, linked: Linked, session: Session, limits: Limits) -> None:
        super().__init__(linked.engine_address, session, limits)
        self._linked = linked
        self._instance: Any = _ffi.wasmtime_instance_t()
        self._exports: dict[str, Export] = {}

    def start(self) -> None:
        """Instantiate, which runs the start function.

        Raises:
            GuestEndedError: The start function ended the guest, or it needs more than its limits.
        """
        trap = c_void_p()
        self.set_deadline()
        failed = _instantiate(
            self._linked.pre_address,
            self.context,
            ctypes.addressof(self._instance),
            ctypes.addressof(trap),
        )
        if failed or trap.value:
            raise self.ending(failed, trap)

    def export(self, name: str) -> Export:
        """Return an exported function.

        Raises:
            GuestCallError: There is none of that name.
        """
        found = self._exports.get(name)
        if found is None:
            found = self._exports[name] = self._find(name)
        return found

    def _find(self, name: str) -> Export:
        kinds = self._linked.exports.get(name)
        if kinds is None:
            known = ", ".join(sorted(self._linked.exports)[:8]) or "none"
            raise GuestCallError(f"The guest exports no function {name[:80]!r}; it has {known}.")
        extern = _ffi.wasmtime_extern_t()
        text = name.encode()
        found = _export_get(self.context, byref(self._instance), text, len(text), byref(extern))
        if not found or extern.kind != _EXTERN_FUNCTION:
            raise GuestCallError(f"The guest exports no function {name[:80]!r}.")
        return Export(self, extern, *kinds)

    def host_call(self, number: int, raw: Any) -> int:  # noqa: ANN401 - ctypes
        """Hand a host call to the session; 0 says that the guest goes on."""
        signature = self._linked.table[number]
        arguments = [
            raw[position].i32 & _MASK32 if kind == "i32" else raw[position].i64
            for position, kind in enumerate(signature.parameters)
        ]
        result = self.session.host_call(number, arguments, self.caller)
        if result is not None:
            raw[0].i64 = result & (_MASK32 if signature.result == "i32" else _MASK64)
        return 0

    def ending(self, failed: int | None, trap: c_void_p) -> BaseException:
        """Take over what a call came back with, and say how the guest ended."""
        error = _taken_error(failed) if failed else _taken_trap(trap)
        return self.session.ending or error


class Export:
    """An exported function with its buffers, made once."""

    def __init__(
        self,
        store: Store,
        extern: Any,  # noqa: ANN401 - ctypes
        parameters: tuple[str, ...],
        results: tuple[str, ...],
    ) -> None:
        unknown = {*parameters, *results} - {"i32", "i64", "f32", "f64"}
        if unknown:
            raise GuestCallError(f"A function with {', '.join(sorted(unknown))} cannot be called.")
        self._store = store
        self._extern = extern
        self._function = ctypes.addressof(extern.of.func)
        self._count = max(len(parameters), len(results))
        self._raw: Any = (_ffi.wasmtime_val_raw_t * max(self._count, 1))()
        self._address = ctypes.addressof(self._raw)
        self._trap = c_void_p()
        self.parameters, self.results = parameters, results

    def __call__(self, *arguments: Number) -> tuple[Number, ...]:
        """Call it.

        Raises:
            GuestCallError: The arguments do not fit; the guest did not run.
            GuestEndedError: The guest is over.
        """
        raw, parameters = self._raw, self.parameters
        if len(arguments) != len(parameters):
            wanted = ", ".join(parameters) or "nothing"
            raise GuestCallError(f"The function takes {wanted}; {len(arguments)} were given.")
        for position, kind in enumerate(parameters):
            _put(raw[position], kind, arguments[position])
        store, trap = self._store, self._trap
        _set_deadline(store.context, 1)
        failed = _func_call(
            store.context, self._function, self._address, self._count, ctypes.addressof(trap)
        )
        if failed or trap.value:
            raise store.ending(failed, trap)
        return tuple([getattr(raw[at], kind) for at, kind in enumerate(self.results)])


def _put(slot: Any, kind: str, value: Number) -> None:  # noqa: ANN401 - ctypes
    if kind in {"f32", "f64"}:
        slot.i64 = 0
        setattr(slot, kind, float(value))
        return
    bits = 32 if kind == "i32" else 64
    if type(value) is not int or not -(1 << (bits - 1)) <= value < 1 << bits:
        raise GuestCallError(f"An argument is no integer of {bits} bits: {value!r}.")
    slot.i64 = value & _MASK32 if bits == 32 else value  # noqa: PLR2004 - the width


def _taken_trap(trap: c_void_p) -> CvmError:
    taken = _trap_class._from_ptr(_c.cast(trap, _c.POINTER(_ffi.wasm_trap_t)))  # noqa: SLF001
    trap.value = None
    code = taken.trap_code
    if code is wasmtime.TrapCode.OUT_OF_FUEL:
        return out_of_fuel()
    frame = next(iter(taken.frames), None)
    name = "host" if code is None else code.name.lower()
    if frame is None:
        return GuestTrapError.of(name)
    # A stack overflow is found in code that has no place in the module.
    offset = None if frame.module_offset == c_size_t(-1).value else int(frame.module_offset)
    return GuestTrapError.of(name, int(frame.func_index), offset)


def _taken_error(pointer: int) -> CvmError:
    error = _error_class._from_ptr(  # noqa: SLF001 - this module wraps wasmtime
        _c.cast(pointer, _c.POINTER(_ffi.wasmtime_error_t))
    )
    return GuestEndedError(
        f"The guest cannot run: {first_line(error)}.", hint="It may need more than its limits."
    )

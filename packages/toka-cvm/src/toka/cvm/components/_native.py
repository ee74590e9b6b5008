"""Runs components, on the C API beneath wasmtime's Python classes.

For the reasons of `toka.cvm._native`, which this goes on from: an ending belongs to the session of
its store, and no exception of the host is kept in a global. No policy here.
"""

# ruff: noqa: ANN401 - values of ctypes have no type

from __future__ import annotations

import ctypes
import importlib
from ctypes import byref, c_char_p, c_size_t, c_void_p
from typing import TYPE_CHECKING, Any, Final, cast

import wasmtime
import wasmtime.component as wit

from toka.cvm._errors import (
    CvmError,
    GuestCallError,
    GuestEndedError,
    GuestTrapError,
    InvalidModuleError,
    OutOfFuelError,
    QuotaError,
)
from toka.cvm._native import STOP, AnyStore, address_of, session_of
from toka.cvm._wasmtime import first_line
from toka.cvm.components._host import HostFunction, WitError, plain_name
from toka.cvm.components._values import VALUE, delete, lift, lower

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toka.cvm._limits import Limits
    from toka.cvm._session import Session
    from toka.cvm.components._describe import Described
    from toka.cvm.components._types import Signature

# The names are ctypes objects without types, so they are Any here and nowhere else.
_ffi: Any = importlib.import_module("wasmtime._ffi")
_c: Any = ctypes
_error_class: Any = wasmtime.WasmtimeError
_any: Any = wit

_HOST_RESOURCE: Final = 1
# One type for all: what a handle stands for is looked at when it is used.
_RESOURCE: Final = _any.ResourceType.host(_HOST_RESOURCE)
_NO_FINALIZER: Final = _c.cast(0, _c.CFUNCTYPE(None, c_void_p))

# What the library says of a trap, and the names that core modules' traps have.
_TRAPS: Final[Mapping[str, str]] = {
    "`unreachable` instruction": "unreachable",
    "call stack exhausted": "stack_overflow",
    "out of bounds memory": "memory_out_of_bounds",
    "out of bounds table": "table_out_of_bounds",
    "undefined element": "table_out_of_bounds",
    "integer divide by zero": "integer_division_by_zero",
    "integer overflow": "integer_overflow",
    "invalid conversion to integer": "bad_conversion_to_integer",
    "indirect call type mismatch": "bad_signature",
    "uninitialized element": "indirect_call_to_null",
    "out of bounds of memory": "bad_pointer",
    "pointer not aligned": "bad_pointer",
    "utf-8": "bad_text",
    "handle": "bad_handle",
    "discriminant": "bad_value",
    "cannot enter component instance": "cannot_enter_component",
    "cannot leave component instance": "cannot_leave_component",
}


# --- Linking -----------------------------------------------------------------------------------


class LinkedComponent:
    """A component with its host functions in place, ready to be instantiated many times."""

    def __init__(
        self,
        engine: wasmtime.Engine,
        component: wit.Component,
        found: Described,
        table: Sequence[HostFunction],
    ) -> None:
        self.engine, self.component, self.exports = engine, component, found.exports
        self.table = table
        self.engine_address = address_of(engine)
        numbers = {(one.interface, one.name): number for number, one in enumerate(table)}
        self.linker = wit.Linker(engine)
        interfaces: dict[str, list[tuple[str, int | None]]] = {}
        for interface, name in found.resources:
            interfaces.setdefault(interface, []).append((name, None))
        for one in found.functions:
            number = numbers[plain_name(one.interface), one.name]
            interfaces.setdefault(one.interface, []).append((one.name, number))
        with self.linker.root() as root:
            for interface, names in interfaces.items():
                with root.add_instance(interface) as instance:
                    for name, position in names:
                        _define(instance, name, position)


def _pointer(wrapper: Any) -> Any:
    return wrapper.ptr()


def _define(instance: Any, name: str, number: int | None) -> None:
    text = name.encode()
    buffer = ctypes.create_string_buffer(text)
    if number is None:
        failed = _ffi.wasmtime_component_linker_instance_add_resource(
            instance.ptr(),
            buffer,
            len(text),
            _RESOURCE.ptr(),
            _dropped,
            0,
            _NO_FINALIZER,
        )
    else:
        failed = _ffi.wasmtime_component_linker_instance_add_func(
            instance.ptr(), buffer, len(text), _called, number, _NO_FINALIZER
        )
    if failed:
        error = _error_class._from_ptr(failed)  # noqa: SLF001 - this module wraps wasmtime
        raise InvalidModuleError(f"The component does not link: {first_line(error)}.")


def _host_call(
    number: int | None,
    context: Any,
    _kind: Any,
    values: Any,
    _count: int,
    results: Any,
    _: int,
) -> int:
    store = session_of(context)
    try:
        if isinstance(store, ComponentStore):
            store.host_function(number or 0, values, results)
    except BaseException as error:  # noqa: BLE001 - nothing may unwind through C frames
        return _stopped(store, error)
    return 0


def _drop(_data: Any, context: Any, rep: int) -> int:
    store = session_of(context)
    try:
        if isinstance(store, ComponentStore):
            store.forget(rep)
    except BaseException as error:  # noqa: BLE001 - nothing may unwind through C frames
        return _stopped(store, error)
    return 0


def _stopped(store: AnyStore | None, error: BaseException) -> int:
    if store is not None:
        store.session.ending = error
    return int(_c.cast(_ffi.wasmtime_error_new(STOP), c_void_p).value)


_called: Final[Any] = _ffi.wasmtime_component_func_callback_t(_host_call)
_dropped: Final[Any] = _ffi.wasmtime_component_resource_destructor_t(_drop)


# --- Stores and calls --------------------------------------------------------------------------


class ComponentStore(AnyStore):
    """One instance of one component, in a store of its own."""

    def __init__(self, linked: LinkedComponent, session: Session, limits: Limits) -> None:
        self._component, self._host = linked, session
        self._place: Any = _ffi.wasmtime_component_instance_t()
        self._functions: dict[str, Any] = {}
        self._objects: dict[int, object] = {}
        self._last = 0
        self._most = limits.open_files
        super().__init__(linked.engine_address, session, limits)
        # Made once: `ctypes.cast` costs as much as a call (tools/bench cvm).
        self._context: Any = _c.cast(self.context, _c.POINTER(_ffi.wasmtime_context_t))

    def bounds(self, limits: Limits) -> tuple[int, int, int, int, int]:
        """Return the limits of memory, table elements, instances, tables and memories."""
        each = limits.memory_bytes // limits.memories
        return each, limits.table_elements, limits.instances, limits.tables, limits.memories

    def start(self) -> None:
        """Instantiate, which runs start functions.

        Raises:
            GuestEndedError: A start function ended the guest, or it needs more than its limits.
        """
        self.set_deadline()
        failed = _ffi.wasmtime_component_linker_instantiate(
            _pointer(self._component.linker),
            self._context,
            _pointer(self._component.component),
            byref(self._place),
        )
        self._check(failed)

    def call(self, name: str, arguments: Sequence[object]) -> object:
        """Call an exported function, with and for Python values.

        Raises:
            GuestCallError: There is none, or the arguments do not fit; the guest did not run.
            GuestEndedError: The guest is over.
        """
        signature = self._component.exports.get(name)
        if signature is None:
            known = ", ".join(sorted(self._component.exports)[:8]) or "none"
            raise GuestCallError(f"The component exports no {name[:80]!r}; it has {known}.")
        kinds = signature.parameters
        if len(arguments) != len(kinds):
            raise GuestCallError(f"The function takes {signature}; {len(arguments)} were given.")
        function = self._functions.get(name)
        if function is None:
            function = self._functions[name] = self._function(name)
        given, result = (VALUE * max(len(kinds), 1))(), VALUE()
        try:
            for at, (kind, value) in enumerate(zip(kinds, arguments, strict=True)):
                lower(kind, value, given[at], _CALLER)
            return self._call(function, given, len(kinds), result, signature)
        finally:
            for at in range(len(kinds)):
                delete(given[at])

    def _call(
        self,
        function: Any,
        given: Any,
        count: int,
        result: Any,
        signature: Signature,
    ) -> object:
        self.set_deadline()
        has = signature.result is not None
        self._check(
            _ffi.wasmtime_component_func_call(
                byref(function), self._context, given, count, byref(result), int(has)
            )
        )
        try:
            value = lift(signature.result, result, self) if signature.result else None
        finally:
            if has:
                delete(result)
        self._check(_ffi.wasmtime_component_func_post_return(byref(function), self._context))
        return value

    def _function(self, name: str) -> Any:
        index = None
        for part in name.split("#"):
            text = part.encode()
            found = _ffi.wasmtime_component_instance_get_export_index(
                byref(self._place), self._context, index, c_char_p(text), c_size_t(len(text))
            )
            if index is not None:
                _ffi.wasmtime_component_export_index_delete(index)
            if not found:
                raise GuestCallError(f"The component exports no function {name[:80]!r}.")
            index = found
        function = _ffi.wasmtime_component_func_t()
        there = _ffi.wasmtime_component_instance_get_func(
            byref(self._place), self._context, index, byref(function)
        )
        _ffi.wasmtime_component_export_index_delete(index)
        if not there:
            raise GuestCallError(f"The component exports no function {name[:80]!r}.")
        return function

    def _check(self, failed: Any) -> None:
        if not failed:
            return
        error = _error_class._from_ptr(failed)  # noqa: SLF001 - this module wraps wasmtime
        ending = self.session.ending
        if ending is not None:
            raise ending
        if self.caller.fuel() == 0:
            raise OutOfFuelError("The guest used all the fuel of the call.", hint="Give it more.")
        raise _ending(error)

    def host_function(self, number: int, values: Any, results: Any) -> None:
        """Hand a host call to the session."""
        function = self._component.table[number]
        signature = function.signature

        self._host.admit(self.caller)
        arguments = [lift(kind, values[at], self) for at, kind in enumerate(signature.parameters)]
        try:
            value = function.body(self._host, *arguments)
        except WitError as error:
            value = "err", error.value
        else:
            if signature.result is not None and signature.result.kind == "result":
                value = "ok", value
        if signature.result is None:
            return
        try:
            lower(signature.result, value, results[0], self)
        except BaseException:
            self._give_up(value)
            raise

    def _give_up(self, value: object) -> None:
        """Close what was to be the guest's, and is not."""
        if isinstance(value, (list, tuple)):
            for one in cast("Sequence[object]", value):
                self._give_up(one)
        elif hasattr(value, "close") and not any(one is value for one in self._objects.values()):
            _close(value)

    # --- Resources ---

    def charge(self, size: int) -> None:
        """Account for bytes that cross the border."""
        self._host.move(size, self.caller)

    def take(self, resource: Any, *, borrowed: bool) -> object:
        """Return the object behind a handle of the guest, and give the handle back."""
        host = _c.POINTER(_ffi.wasmtime_component_resource_host_t)()
        failed = _ffi.wasmtime_component_resource_any_to_host(self._context, resource, byref(host))
        _ffi.wasmtime_component_resource_any_delete(resource)
        if failed:
            _ffi.wasmtime_error_delete(failed)
            raise GuestTrapError.of("bad_handle")
        rep = int(_ffi.wasmtime_component_resource_host_rep(host))
        _ffi.wasmtime_component_resource_host_delete(host)
        found = self._objects.get(rep) if borrowed else self._objects.pop(rep, None)
        if found is None:
            raise GuestTrapError.of("bad_handle")
        return found

    def lend(self, value: object) -> Any:
        """Return a handle for an object, which is the guest's from now on."""
        if len(self._objects) >= self._most:
            raise QuotaError(f"The guest holds over {self._most} resources.")
        self._last += 1
        self._objects[self._last] = value
        host = _ffi.wasmtime_component_resource_host_new(True, self._last, _HOST_RESOURCE)
        whole = _c.POINTER(_ffi.wasmtime_component_resource_any_t)()
        failed = _ffi.wasmtime_component_resource_host_to_any(self._context, host, byref(whole))
        _ffi.wasmtime_component_resource_host_delete(host)
        if failed:
            _ffi.wasmtime_error_delete(failed)
            raise GuestTrapError.of("bad_handle")
        return whole

    def forget(self, rep: int) -> None:
        """Close what a guest has dropped."""
        _close(self._objects.pop(rep, None))

    def close(self) -> None:
        """Give the store back, and what the guest had not dropped. Idempotent."""
        super().close()
        for rep in list(self._objects):
            self.forget(rep)


def _close(value: object) -> None:
    close = getattr(value, "close", None)
    if close is not None:
        close()


class _Caller:
    """The caller of an export: pays for nothing, and hands over no resources."""

    def charge(self, size: int) -> None:
        """Take what is given."""

    def take(self, resource: Any, *, borrowed: bool) -> object:  # noqa: ARG002 - it refuses all
        raise GuestCallError("A resource cannot be handed to a component's caller.")

    def lend(self, value: object) -> Any:  # noqa: ARG002 - it refuses all
        raise GuestCallError("A resource cannot be handed to a component.")


_CALLER: Final = _Caller()


def _ending(error: Any) -> CvmError:
    whole = " ".join(str(error).split())
    # Before this stands a backtrace, with names that the component's author chose.
    reason = whole.rpartition("Caused by:")[2]
    if "fuel allocated for hostcalls" in reason:
        return QuotaError("A host call moves more than a component may hand over at once.")
    for text, trap in _TRAPS.items():
        if text in reason:
            return GuestTrapError.of(trap)
    if "error while executing" in whole or "wasm trap:" in whole:
        return GuestTrapError.of("component")
    return GuestEndedError(
        f"The guest cannot run: {first_line(error)}.", hint="It may need more than its limits."
    )

"""What a host call sees of its guest: its memory, every access checked, and its fuel.

With `_native.py`, this is the C API beneath wasmtime's Python classes.
"""

from __future__ import annotations

import ctypes
import importlib
from ctypes import byref, c_bool, c_char_p, c_size_t, c_uint64, c_void_p
from typing import Any, Final

from toka.cvm._errors import GuestTrapError, OutOfFuelError

# The names are ctypes objects without types, so they are Any here and nowhere else.
_ffi: Any = importlib.import_module("wasmtime._ffi")
_dll: Any = _ffi.dll
_EXTERN_MEMORY: Final = int(_ffi.WASMTIME_EXTERN_MEMORY.value)


def quick(name: str, result: Any, *arguments: Any) -> Any:  # noqa: ANN401 - ctypes
    """Bind a C function that returns at once: it keeps the interpreter's lock."""
    return ctypes.PYFUNCTYPE(result, *arguments)((name, _dll))


_set_fuel = quick("wasmtime_context_set_fuel", c_void_p, c_void_p, c_uint64)
_get_fuel = quick("wasmtime_context_get_fuel", c_void_p, c_void_p, c_void_p)
_caller_export = quick("wasmtime_caller_export_get", c_bool, c_void_p, c_char_p, c_size_t, c_void_p)
_memory_data = quick("wasmtime_memory_data", c_void_p, c_void_p, c_void_p)
_memory_size = quick("wasmtime_memory_data_size", c_size_t, c_void_p, c_void_p)


class Caller:
    """What a host call sees of its guest: its memory, every access checked, and its fuel."""

    __slots__ = ("_context", "_extern", "_fuel")

    def __init__(self, context: int) -> None:
        self._context = context
        self._extern: Any = None
        self._fuel = c_uint64(0)

    def bind(self, caller: int) -> None:
        """Find the export `memory` through a caller: there is no instance yet while it starts."""
        if self._extern is None:
            extern = _ffi.wasmtime_extern_t()
            if _caller_export(caller, b"memory", 6, byref(extern)) and (
                extern.kind == _EXTERN_MEMORY
            ):
                self._extern = extern

    def spend(self, fuel: int) -> None:
        """Take fuel for what the host does.

        Raises:
            OutOfFuelError: There is not that much left.
        """
        left = self.fuel() - fuel
        _set_fuel(self._context, max(left, 0))
        if left < 0:
            raise out_of_fuel()

    def fuel(self) -> int:
        """Return what is left."""
        _get_fuel(self._context, byref(self._fuel))
        return self._fuel.value

    def refuel(self, fuel: int) -> None:
        """Set what may be used from now on."""
        _set_fuel(self._context, fuel)

    def _address(self, pointer: int, size: int) -> int:
        # Integers of any size in Python: pointer + size cannot wrap around.
        if self._extern is None:
            raise GuestTrapError.of("no_memory")
        memory = byref(self._extern.of.memory)
        if pointer < 0 or size < 0 or pointer + size > _memory_size(self._context, memory):
            raise GuestTrapError.of("bad_pointer")
        base: int = _memory_data(self._context, memory) or 0
        return base + pointer

    def read(self, pointer: int, size: int) -> bytes:
        """Copy bytes out.

        Raises:
            GuestTrapError: They do not lie in the memory.
        """
        address = self._address(pointer, size)
        return ctypes.string_at(address, size) if size else b""

    def write(self, pointer: int, data: bytes) -> None:
        """Copy bytes in.

        Raises:
            GuestTrapError: They do not fit there; nothing was written.
        """
        address = self._address(pointer, len(data))
        if data:
            ctypes.memmove(address, data, len(data))


def out_of_fuel() -> OutOfFuelError:
    """Return the error of a guest that used all it had."""
    return OutOfFuelError("The guest used all the fuel of the call.", hint="Give it more.")

"""What wasmtime's Python classes do here: engines, compiling, and describing modules.

wasmtime has one breaking release a month. Only this module and `_native.py` know it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs
import wasmtime
import wasmtime.component as wit

from toka.cvm._errors import CompileBudgetError, InvalidModuleError

if TYPE_CHECKING:
    from collections.abc import Sequence

# The names are ctypes objects without types.
_ffi: Any = importlib.import_module("wasmtime._ffi")

VERSION: Final = importlib.metadata.version("wasmtime")

Kind: TypeAlias = Literal["i32", "i64", "f32", "f64"]
Number: TypeAlias = int | float


@attrs.frozen
class Import:
    """What a module asks for."""

    module: str
    name: str
    parameters: tuple[str, ...]
    results: tuple[str, ...]
    is_function: bool


@attrs.frozen
class HostSignature:
    """A host function as the linker sees it; its position in the table is its number."""

    module: str
    name: str
    parameters: tuple[Kind, ...]
    result: Kind | None


def text_to_binary(text: str) -> bytes:
    """Turn WebAssembly text into bytes.

    Raises:
        InvalidModuleError: The text is not WebAssembly.
    """
    try:
        return bytes(wasmtime.wat2wasm(text))
    except wasmtime.WasmtimeError as error:
        raise InvalidModuleError(first_line(error)) from error


def new_engine(*, stack_bytes: int, deterministic: bool) -> wasmtime.Engine:
    """Make an engine: fuel and epochs on, everything off that no usual toolchain emits."""
    config = wasmtime.Config()
    config.strategy = "cranelift"
    config.consume_fuel = True
    config.epoch_interruption = True
    config.max_wasm_stack = stack_bytes
    config.wasm_threads = False
    config.shared_memory = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    config.wasm_gc = False
    config.wasm_function_references = False
    config.wasm_exceptions = False
    config.wasm_stack_switching = False
    config.wasm_custom_page_sizes = False
    config.wasm_wide_arithmetic = False
    config.wasm_relaxed_simd = False
    config.wasm_component_model = True
    config.wasm_component_model_map = False
    config.wasm_component_model_implements = False
    config.cranelift_nan_canonicalization = deterministic
    # Asynchronous components are not run here; and with it on, version 50 traps a component that
    # hands two borrowed handles to one host function.
    any_config: Any = config
    _ffi.wasmtime_config_concurrency_support_set(any_config.ptr(), False)
    return wasmtime.Engine(config)


def compile_module(engine: wasmtime.Engine, wasm: bytes) -> wasmtime.Module:
    """Compile in this process.

    Raises:
        InvalidModuleError: The compiler refuses the bytes.
    """
    try:
        # A bytearray, because wasmtime would take bytes without the magic for text.
        wasmtime.Module.validate(engine, bytearray(wasm))
        return wasmtime.Module(engine, wasm)
    except wasmtime.WasmtimeError as error:
        raise InvalidModuleError(f"The module is refused: {first_line(error)}.") from error


def compile_component(engine: wasmtime.Engine, wasm: bytes) -> wit.Component:
    """Compile in this process.

    Raises:
        InvalidModuleError: The compiler refuses the bytes.
    """
    try:
        return wit.Component(engine, bytearray(wasm))
    except wasmtime.WasmtimeError as error:
        raise InvalidModuleError(f"The component is refused: {first_line(error)}.") from error


def serialized(module: wasmtime.Module | wit.Component) -> bytes:
    """Return the machine code, for `unsafe_deserialized`."""
    return bytes(module.serialize())


def unsafe_deserialized(engine: wasmtime.Engine, code: bytes) -> wasmtime.Module:
    """Load machine code that this library made. It is run as it is, so it must be ours.

    Raises:
        CompileBudgetError: The library does not take it.
    """
    try:
        return wasmtime.Module.deserialize(engine, code)
    except wasmtime.WasmtimeError as error:
        raise CompileBudgetError(f"Compiled code does not load: {first_line(error)}.") from error


def unsafe_deserialized_component(engine: wasmtime.Engine, code: bytes) -> wit.Component:
    """Load machine code that this library made. It is run as it is, so it must be ours.

    Raises:
        CompileBudgetError: The library does not take it.
    """
    try:
        return wit.Component.deserialize(engine, code)
    except wasmtime.WasmtimeError as error:
        raise CompileBudgetError(f"Compiled code does not load: {first_line(error)}.") from error


def imports_of(module: wasmtime.Module) -> tuple[Import, ...]:
    """Return what the module asks for, in its order."""
    return tuple([_import_of(one) for one in module.imports])


def _import_of(one: wasmtime.ImportType) -> Import:
    kind = one.type
    if not isinstance(kind, wasmtime.FuncType):
        return Import(one.module, one.name or "", (), (), is_function=False)
    return Import(one.module, one.name or "", _kinds(kind.params), _kinds(kind.results), True)


def exports_of(module: wasmtime.Module) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the exported functions, with the kinds of their parameters and results."""
    return {
        one.name: (_kinds(kind.params), _kinds(kind.results))
        for one in module.exports
        if isinstance(kind := one.type, wasmtime.FuncType)
    }


def _kinds(types: Sequence[wasmtime.ValType]) -> tuple[str, ...]:
    return tuple([str(one) for one in types])


def first_line(error: wasmtime.WasmtimeError) -> str:
    # The rest is a backtrace, whose names the module's author chose.
    text = " ".join(str(error).split("wasm backtrace")[0].split())
    return "".join([letter if letter.isprintable() else "?" for letter in text])[:300].rstrip(".")

"""Compiles modules: small ones here, others in a child process that can be killed."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import attrs

from toka.cvm._errors import CompileBudgetError, InvalidModuleError
from toka.cvm._scan import is_component, scan, scan_component
from toka.cvm._wasmtime import (
    VERSION,
    compile_component,
    compile_module,
    new_engine,
    serialized,
    unsafe_deserialized,
    unsafe_deserialized_component,
)

if TYPE_CHECKING:
    import wasmtime
    import wasmtime.component as wit

    from toka.cvm._cache import ModuleCache
    from toka.cvm._limits import ModuleLimits
    from toka.cvm._scan import ModuleCounts

_REFUSED: Final = 3
_KEPT: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG")


@attrs.frozen
class Compiler:
    """One engine, and how modules come into it."""

    limits: ModuleLimits
    cache: ModuleCache | None
    stack_bytes: int
    deterministic: bool
    engine: wasmtime.Engine = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        engine = new_engine(stack_bytes=self.stack_bytes, deterministic=self.deterministic)
        object.__setattr__(self, "engine", engine)

    def compile(self, wasm: bytes) -> wasmtime.Module:
        """Return the module, from the cache where it is.

        Raises:
            InvalidModuleError: The bytes are refused.
            CompileBudgetError: Compiling took more than it may.
            CacheError: The folder of the cache is not private.
        """
        if self._is_small(scan(wasm, self.limits)):
            return compile_module(self.engine, wasm)
        return unsafe_deserialized(self.engine, self._code(wasm))

    def compile_component(self, wasm: bytes) -> wit.Component:
        """Return the component, from the cache where it is.

        Raises:
            InvalidModuleError: The bytes are refused.
            CompileBudgetError: Compiling took more than it may.
            CacheError: The folder of the cache is not private.
        """
        if self._is_small(scan_component(wasm, self.limits)):
            return compile_component(self.engine, wasm)
        return unsafe_deserialized_component(self.engine, self._code(wasm))

    def _is_small(self, counts: ModuleCounts) -> bool:
        most = self.limits.here_bytes
        return 0 < most >= counts.code_bytes and counts.locals <= self.limits.here_locals

    def _code(self, wasm: bytes) -> bytes:
        key = f"{VERSION}/{self.stack_bytes}/{int(self.deterministic)}"
        code = None if self.cache is None else self.cache.get(key, wasm)
        if code is None:
            code = self._in_child(wasm)
            if self.cache is not None:
                self.cache.put(key, wasm, code)
        return code

    def _in_child(self, wasm: bytes) -> bytes:
        if sys.platform == "win32":
            # No limits on a process there; the counts are what bounds it.
            return machine_code(self.engine, wasm)
        seconds = self.limits.compile_seconds
        numbers = (
            math.ceil(seconds),
            self.limits.compile_memory_bytes,
            self.stack_bytes,
            int(self.deterministic),
        )
        command = [sys.executable, "-P", "-m", "toka.cvm._compile_child", *map(str, numbers)]
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        try:
            done = subprocess.run(  # noqa: S603 - this interpreter, our own module
                command,
                input=wasm,
                capture_output=True,
                timeout=seconds,
                check=False,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            raise _over(self.limits, "it took too long") from None
        if done.returncode == _REFUSED:
            raise InvalidModuleError(done.stderr.decode("utf-8", "replace")[:400])
        if done.returncode:
            raise _over(self.limits, f"the compiler ended with {done.returncode}")
        return done.stdout


def machine_code(engine: wasmtime.Engine, wasm: bytes) -> bytes:
    """Compile a module or a component in this process.

    Raises:
        InvalidModuleError: The bytes are refused.
    """
    compiler = compile_component if is_component(wasm) else compile_module
    return serialized(compiler(engine, wasm))


def _over(limits: ModuleLimits, why: str) -> CompileBudgetError:
    return CompileBudgetError(
        f"Compiling the module was stopped: {why}.",
        hint=f"It has {limits.compile_seconds:g} s and {limits.compile_memory_bytes >> 20} MiB.",
    )

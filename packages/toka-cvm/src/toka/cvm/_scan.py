"""Counts what a module holds, before a compiler sees it.

This is no validator: it reads the sizes and counts that decide what compiling may cost, and
refuses what is over a limit. Everything else about the bytes is the compiler's to judge, so a
section that is cut short is refused here and one whose contents are wrong is refused there.
Format: WebAssembly Core Specification, section 5 (binary format).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.cvm._errors import InvalidModuleError, ModuleTooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.cvm._limits import ModuleLimits

_MAGIC: Final = b"\0asm"
_CORE: Final = 1
_COMPONENT_VERSION: Final = 13
_COMPONENT_LAYER: Final = b"\1\0"
_CORE_MODULE, _COMPONENT = 1, 4
_DEEPEST: Final = 4
_CUSTOM, _TYPE, _IMPORT, _FUNCTION, _EXPORT, _CODE = 0, 1, 2, 3, 7, 10
_COUNTED: Final = {_TYPE: "types", _IMPORT: "imports", _FUNCTION: "functions", _EXPORT: "exports"}
_LONGEST_LEB128: Final = 5


@attrs.frozen
class ModuleCounts:
    """What was counted."""

    code_bytes: int = 0
    locals: int = 0


class _Reader:
    """Reads integers from bytes, and refuses to go past their end."""

    def __init__(self, data: bytes, position: int, end: int) -> None:
        self.data, self.position, self.end = data, position, end

    def unsigned(self) -> int:
        """Read a LEB128 integer of at most 32 bits."""
        value = 0
        for number in range(_LONGEST_LEB128):
            if self.position >= self.end:
                break
            byte = self.data[self.position]
            self.position += 1
            value |= (byte & 0x7F) << (7 * number)
            if byte < 0x80:  # noqa: PLR2004 - the continuation bit
                if value >= 1 << 32:
                    break
                return value
        raise InvalidModuleError(f"The module is cut short or malformed at byte {self.position}.")

    def part(self, size: int) -> _Reader:
        """Take the next `size` bytes as a reader of their own."""
        begin = self.position
        if size > self.end - begin:
            raise InvalidModuleError(f"The module is cut short: byte {begin} promises {size} more.")
        self.position = begin + size
        return _Reader(self.data, begin, self.position)


def scan(wasm: bytes, limits: ModuleLimits) -> ModuleCounts:
    """Count what a core module holds.

    Raises:
        InvalidModuleError: The bytes are no core module, or cut short.
        ModuleTooLargeError: A count or a size is over its limit.
    """
    if len(wasm) > limits.module_bytes:
        raise _too_large("bytes", len(wasm), limits.module_bytes)
    _check_header(wasm, component=False)
    return _scan_module(_Reader(wasm, 8, len(wasm)), limits)


def scan_component(wasm: bytes, limits: ModuleLimits) -> ModuleCounts:
    """Count what a component holds, modules and components inside it included.

    Raises:
        InvalidModuleError: The bytes are no component, or cut short.
        ModuleTooLargeError: A count or a size is over its limit.
    """
    if len(wasm) > limits.module_bytes:
        raise _too_large("bytes", len(wasm), limits.module_bytes)
    _check_header(wasm, component=True)
    found = list(_modules_in(_Reader(wasm, 8, len(wasm)), limits, 0))
    if len(found) > limits.modules:
        raise _too_large("modules and components", len(found), limits.modules)
    declared = sum(one.locals for one in found)
    if declared > limits.locals:
        raise _too_large("locals", declared, limits.locals)
    return ModuleCounts(sum(one.code_bytes for one in found), declared)


def _modules_in(reader: _Reader, limits: ModuleLimits, depth: int) -> Iterator[ModuleCounts]:
    # Component Model, design/mvp/Binary.md. What is no module is adapters and types, which are
    # compiled like code, so it counts as code.
    if depth > _DEEPEST:
        raise _too_large("levels of components", depth, _DEEPEST)
    custom = glue = 0
    while reader.position < reader.end:
        kind = reader.part(1).data[reader.position - 1]
        section = reader.part(reader.unsigned())
        size = section.end - section.position
        if kind == _CUSTOM:
            custom += size
        elif kind in {_CORE_MODULE, _COMPONENT}:
            header = section.part(8)
            _check_header(header.data[header.position : header.end], component=kind == _COMPONENT)
            if kind == _CORE_MODULE:
                yield _scan_module(section, limits)
            else:
                yield from _modules_in(section, limits, depth + 1)
        else:
            glue += size
    _check_custom(custom, limits)
    if glue > limits.glue_bytes:
        raise _too_large("bytes of types and adapters", glue, limits.glue_bytes)
    yield ModuleCounts(glue)


def _check_custom(size: int, limits: ModuleLimits) -> None:
    if size > limits.custom_bytes:
        raise _too_large("bytes of custom sections", size, limits.custom_bytes)


def _scan_module(reader: _Reader, limits: ModuleLimits) -> ModuleCounts:
    code_bytes = custom = declared = 0
    while reader.position < reader.end:
        kind = reader.part(1).data[reader.position - 1]
        section = reader.part(reader.unsigned())
        size = section.end - section.position
        if kind == _CUSTOM:
            custom += size
        elif kind in _COUNTED:
            _check_count(_COUNTED[kind], section.unsigned(), limits)
        elif kind == _CODE:
            code_bytes += size
            declared += _locals(section, limits)
    _check_custom(custom, limits)
    return ModuleCounts(code_bytes, declared)


def is_component(wasm: bytes) -> bool:
    """Say whether bytes begin as those of a component."""
    return wasm[:4] == _MAGIC and wasm[6:8] == _COMPONENT_LAYER


def _check_header(wasm: bytes, *, component: bool) -> None:
    if wasm[:4] != _MAGIC or len(wasm) < 8:  # noqa: PLR2004 - magic and version
        raise InvalidModuleError(
            "The bytes are no WebAssembly module.", hint="A module begins with \\0asm."
        )
    version, layer = int.from_bytes(wasm[4:6], "little"), int.from_bytes(wasm[6:8], "little")
    if bool(layer) != component:
        raise InvalidModuleError(
            "The bytes are a WebAssembly component, not a core module."
            if layer
            else "The bytes are a core module, not a component.",
            hint=f"Use Machine.{'compile_component' if layer else 'compile'}.",
        )
    known = _COMPONENT_VERSION if component else _CORE
    if version != known:
        raise InvalidModuleError(f"The module has version {version}; version {known} is known.")


def _check_count(what: str, count: int, limits: ModuleLimits) -> None:
    allowed = {
        "types": limits.types,
        "imports": limits.imports,
        "functions": limits.functions,
        "exports": limits.exports,
    }[what]
    if count > allowed:
        raise _too_large(what, count, allowed)


def _locals(section: _Reader, limits: ModuleLimits) -> int:
    # Locals are run-length encoded, so five bytes declare four thousand million of them.
    declared = 0
    for _ in range(section.unsigned()):
        body = section.part(section.unsigned())
        mine = 0
        for _ in range(body.unsigned()):
            mine += body.unsigned()
            body.part(1)
        if mine > limits.locals_per_function:
            raise _too_large("locals in one function", mine, limits.locals_per_function)
        declared += mine
        if declared > limits.locals:
            raise _too_large("locals", declared, limits.locals)
    return declared


def _too_large(what: str, count: int, allowed: int) -> ModuleTooLargeError:
    return ModuleTooLargeError(
        f"The module has {count} {what}, over {allowed}.",
        hint="Raise the limit in ModuleLimits if you trust its author.",
        details={"what": what, "count": count, "limit": allowed},
    )

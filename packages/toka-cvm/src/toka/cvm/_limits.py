"""What a guest may use, and what its module may hold."""

from __future__ import annotations

import attrs

_MIB = 1024 * 1024


@attrs.frozen
class Limits:
    """What one guest may use. Fuel and time are of one call, everything else of its life."""

    fuel: int = 1_000_000_000
    """About one unit an instruction, and what host calls cost besides."""
    deadline_seconds: float = 10.0
    """Wall-clock time of one call, host calls and their waiting included."""
    memory_bytes: int = 64 * _MIB
    """Linear memory, all together. A module has at most one."""
    memories: int = 1
    """Of a component; each may have its share of `memory_bytes`."""
    instances: int = 32
    """Core instances of a component."""
    table_elements: int = 20_000
    tables: int = 4
    host_calls: int = 1_000_000
    host_call_fuel: int = 500
    """What a host call costs; besides, every byte that it moves costs one."""
    transfer_bytes: int = _MIB
    """Most that one host call may read or write."""
    output_bytes: int = 4 * _MIB
    """Standard output, standard error and log together."""
    io_bytes: int = 256 * _MIB
    """What all host calls together may move."""
    open_files: int = 64
    """Of a component: handles of any kind."""


@attrs.frozen
class ModuleLimits:
    """What a module may hold, and what compiling it may cost."""

    module_bytes: int = 32 * _MIB
    functions: int = 50_000
    types: int = 10_000
    imports: int = 1_000
    exports: int = 10_000
    locals_per_function: int = 10_000
    locals: int = 1_000_000
    custom_bytes: int = 16 * _MIB
    modules: int = 64
    """In a component, it and the components inside it included."""
    glue_bytes: int = 1 * _MIB
    """What a component holds besides modules: types, and what adapters are made of."""
    type_parts: int = 20_000
    """Functions, resources and parts of types that a component imports and exports."""
    here_bytes: int = 16 * 1024
    """Up to this much code, with few locals, is compiled in this process: what it can cost is
    bounded by its size (see the README). More goes to a child process. 0 sends everything there."""
    here_locals: int = 2_000
    compile_seconds: float = 20.0
    """Wall-clock and processor time of the child."""
    compile_memory_bytes: int = 2_048 * _MIB
    """Address space of the child."""

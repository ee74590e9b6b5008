"""The child process that compiles: limits first, then the module from standard input.

Run as `python -P -m toka.cvm._compile_child OPTIONS`. Exit status 0 and machine code on standard
output, or 3 and the reason on standard error.
"""

from __future__ import annotations

import resource
import sys

from toka.cvm._compile import machine_code
from toka.cvm._errors import InvalidModuleError
from toka.cvm._wasmtime import new_engine

REFUSED = 3


def main(arguments: list[str]) -> int:
    """Compile under limits: processor seconds, bytes of address space, stack bytes, 0 or 1."""
    seconds, memory, stack, deterministic = (int(one) for one in arguments)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    engine = new_engine(stack_bytes=stack, deterministic=bool(deterministic))
    try:
        code = machine_code(engine, sys.stdin.buffer.read())
    except InvalidModuleError as error:
        sys.stderr.write(error.message)
        return REFUSED
    sys.stdout.buffer.write(code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

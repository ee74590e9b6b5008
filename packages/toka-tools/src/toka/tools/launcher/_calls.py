"""System calls for which the standard library has no function.

Their numbers are in the headers of Linux: asm/unistd_64.h for x86-64, asm-generic/unistd.h for
AArch64.
"""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

ARCHITECTURE = os.uname().machine

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38


def set_attribute(option: int, first: int, second: int = 0) -> None:
    """Set an attribute of this process.

    Raises:
        OSError: The system refuses.
    """
    arguments = [ctypes.c_ulong(one) for one in (first, second, 0, 0)]
    if _libc.prctl(option, *arguments) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def syscall(number: int, *arguments: int) -> int:
    """Make a system call by its number.

    Raises:
        OSError: The system refuses, or has none of that number.
    """
    result = int(_libc.syscall(ctypes.c_long(number), *[ctypes.c_long(one) for one in arguments]))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


def mount(source: str, target: str, kind: str, flags: int) -> None:
    """Mount a file system over a directory.

    Raises:
        OSError: The system refuses.
    """
    texts = [ctypes.c_char_p(one.encode()) for one in (source, target, kind)]
    if _libc.mount(*texts, ctypes.c_ulong(flags), None) != 0:
        raise OSError(ctypes.get_errno(), "mount", target)

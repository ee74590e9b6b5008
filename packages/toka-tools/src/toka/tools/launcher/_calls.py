"""System calls for which the standard library has no function.

Their numbers are in the headers of Linux: asm/unistd_64.h for x86-64, asm-generic/unistd.h for
AArch64.
"""

from __future__ import annotations

import ctypes
import os
import sys

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = [ctypes.c_long] * 6
if sys.platform == "linux":
    _libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    _libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_void_p]

ARCHITECTURE = os.uname().machine

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38


def set_attribute(option: int, first: int, second: int = 0) -> None:
    """Set an attribute of this process.

    Raises:
        OSError: The system refuses.
    """
    if _libc.prctl(option, first, second, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def syscall(number: int, *arguments: int) -> int:
    """Make a system call by its number, with at most five arguments.

    Raises:
        OSError: The system refuses, or has none of that number.
    """
    result = int(_libc.syscall(number, *arguments, *(0,) * (5 - len(arguments))))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


def mount(source: str, target: str, kind: str, flags: int) -> None:
    """Mount a file system over a directory.

    Raises:
        OSError: The system refuses.
    """
    if _libc.mount(source.encode(), target.encode(), kind.encode(), flags, None) != 0:
        raise OSError(ctypes.get_errno(), "mount", target)

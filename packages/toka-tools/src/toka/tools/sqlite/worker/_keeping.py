"""Giving up for ever the right to remove files; see the kernel's userspace-api/landlock.rst.

A journal may name another journal, which SQLite then removes. A directory that has something
protected in it is a place where it must not be able to.
"""

from __future__ import annotations

import ctypes
import os
import struct

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_REMOVE = 1 << 4 | 1 << 5


def keep_all_files() -> None:
    """Take from this process the right to remove files and directories, anywhere.

    Raises:
        OSError: The kernel refuses.
    """
    data = ctypes.create_string_buffer(struct.pack("=Q", _REMOVE))
    ruleset = _call(_CREATE_RULESET, ctypes.addressof(data), 8, 0)
    try:
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _call(number: int, *arguments: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    result = int(libc.syscall(ctypes.c_long(number), *[ctypes.c_long(one) for one in arguments]))
    if result < 0:
        raise OSError(ctypes.get_errno(), "landlock")
    return result

"""Namespaces: a command that has its own processes, network and mounts, and sees no others.

user_namespaces(7) makes it possible without privileges; pid_namespaces(7) ends everything in it
with its first process, whatever it did to get away.
"""

from __future__ import annotations

import os

from ._calls import ARCHITECTURE, PR_CAPBSET_DROP, mount, set_attribute, syscall

_UNSHARE = {"x86_64": 272, "aarch64": 97}
_NEW_MOUNTS, _NEW_IPC, _NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = (
    0x20000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
_PRIVATE = 0x4000 | 0x40000  # recursively
_NO_SUID_NO_DEVICES_NO_PROGRAMS = 0x2 | 0x4 | 0x8
_CAPABILITIES = 64


def enter(*, network: bool) -> None:
    """Leave the namespaces of the program; the next child is the first process of its own.

    Raises:
        OSError: The system does not allow it, as many containers do not.
    """
    user, group = os.geteuid(), os.getegid()
    flags = _NEW_USER | _NEW_PROCESSES | _NEW_IPC | (0 if network else _NEW_NETWORK)
    syscall(_UNSHARE[ARCHITECTURE], flags)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")


def settle() -> None:
    """Give the first process of the namespaces a `/proc` of its own; the starter keeps another.

    Raises:
        OSError: The system does not allow it.
    """
    syscall(_UNSHARE[ARCHITECTURE], _NEW_MOUNTS)
    mount("none", "/", "none", _PRIVATE)
    mount("proc", "/proc", "proc", _NO_SUID_NO_DEVICES_NO_PROGRAMS)


def drop_capabilities() -> None:
    """See to it that what is run has no capabilities, not even in its own namespaces."""
    for capability in range(_CAPABILITIES):
        try:
            set_attribute(PR_CAPBSET_DROP, capability)
        except OSError:
            return  # beyond the last one that the kernel knows


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)

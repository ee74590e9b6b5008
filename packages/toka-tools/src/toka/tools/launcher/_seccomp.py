"""seccomp: which system calls a process and all that it starts can make, from now on.

A list of what is refused, not of what is allowed: programs of any kind run here. Refused is what
looks into other processes or the kernel, what makes namespaces and mounts, and sockets unless the
network is granted: Landlock counts TCP by port and does not see UDP at all. Filters are classic
BPF programs over `struct seccomp_data` (kernel documentation: userspace-api/seccomp_filter.rst).
"""

from __future__ import annotations

import ctypes
import errno
import struct

from ._calls import ARCHITECTURE, PR_SET_SECCOMP, set_attribute

_FILTER = 2
_LOAD, _JUMP_EQUAL, _JUMP_SET, _JUMP_ABOVE, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_X32 = 0x40000000
_UNIX = 1
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NAMESPACES = 0x20000 | 0x2000000 | 0x4000000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_REFUSED = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"),
    *("mount", "umount2", "mount_setattr", "move_mount", "open_tree", "pivot_root", "chroot"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "setns", "unshare"),
    *("bpf", "perf_event_open", "userfaultfd"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("add_key", "request_key", "keyctl", "open_by_handle_at", "fanotify_init"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load"),
    *("reboot", "swapon", "swapoff", "acct", "quotactl", "syslog"),
    *("settimeofday", "clock_settime", "adjtimex", "clock_adjtime"),
    *("sethostname", "setdomainname"),
)
_X86_64 = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "mount": 165,
    "umount2": 166, "pivot_root": 155, "chroot": 161, "setns": 308, "unshare": 272,
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "add_key": 248, "request_key": 249,
    "keyctl": 250, "open_by_handle_at": 304, "fanotify_init": 300, "init_module": 175,
    "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320,
    "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179, "syslog": 103,
    "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305,
    "sethostname": 170, "setdomainname": 171, "socket": 41, "socketpair": 53, "clone": 56,
}  # fmt: skip
_AARCH64 = {
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "mount": 40,
    "umount2": 39, "pivot_root": 41, "chroot": 51, "setns": 268, "unshare": 97,
    "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "add_key": 217, "request_key": 218,
    "keyctl": 219, "open_by_handle_at": 265, "fanotify_init": 262, "init_module": 105,
    "finit_module": 273, "delete_module": 106, "kexec_load": 104, "kexec_file_load": 294,
    "reboot": 142, "swapon": 224, "swapoff": 225, "acct": 89, "quotactl": 60, "syslog": 116,
    "settimeofday": 170, "clock_settime": 112, "adjtimex": 171, "clock_adjtime": 266,
    "sethostname": 161, "setdomainname": 162, "socket": 198, "socketpair": 199, "clone": 220,
}  # fmt: skip
# Calls of Linux 5.0 and later have one number everywhere.
_EVERYWHERE = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "clone3": 435, "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442,
}  # fmt: skip


def restrict(*, network: bool) -> None:
    """Take system calls from this process for ever; it needs to have no new privileges before.

    Raises:
        OSError: The kernel has no seccomp, or the architecture is neither of the two known.
    """
    code = ctypes.create_string_buffer(program(network=network))
    header = struct.pack("@HP", (len(code) - 1) // 8, ctypes.addressof(code))
    pointer = ctypes.create_string_buffer(header)
    set_attribute(PR_SET_SECCOMP, _FILTER, ctypes.addressof(pointer))


def program(*, network: bool) -> bytes:
    """Return the filter; the server makes both before its first command, for all of them.

    Raises:
        OSError: The architecture is neither of the two known.
    """
    if network not in _made:
        numbers = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(ARCHITECTURE)
        if numbers is None:
            raise OSError(errno.ENOSYS, "seccomp")
        _made[network] = _program(numbers, network=network)
    return _made[network]


_made: dict[bool, bytes] = {}


def _program(numbers: dict[str, int], *, network: bool) -> bytes:
    known = {**numbers, **_EVERYWHERE}
    refuse = _ERROR | errno.EPERM
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        # Another architecture has other numbers: a 32-bit program would be outside of the list.
        (_JUMP_EQUAL, 1, 0, _AUDIT[ARCHITECTURE]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if ARCHITECTURE == "x86_64":
        steps += [(_JUMP_ABOVE, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    for name in _REFUSED:
        steps += [(_JUMP_EQUAL, 0, 1, known[name]), (_RETURN, 0, 0, refuse)]
    # Its flags are in memory, where no filter can look; C libraries then use clone.
    steps += [(_JUMP_EQUAL, 0, 1, known["clone3"]), (_RETURN, 0, 0, _ERROR | errno.ENOSYS)]
    steps += [
        (_JUMP_EQUAL, 0, 4, known["clone"]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_JUMP_SET, 0, 1, _NAMESPACES),
        (_RETURN, 0, 0, refuse),
        (_RETURN, 0, 0, _ALLOW),
    ]
    if not network:
        # Of any family: Landlock does not see who connects to a socket in the file system, and
        # behind one may be a bus or a daemon that runs whatever it is told.
        steps += [(_JUMP_EQUAL, 0, 1, known["socket"]), (_RETURN, 0, 0, refuse)]
        steps += [
            (_JUMP_EQUAL, 0, 4, known["socketpair"]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
            (_JUMP_EQUAL, 1, 0, _UNIX),
            (_RETURN, 0, 0, refuse),
            (_RETURN, 0, 0, _ALLOW),
        ]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join([struct.pack("=HBBI", *step) for step in steps])

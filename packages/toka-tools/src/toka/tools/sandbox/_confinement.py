"""What a confined command may touch: the system's programs, and what its permissions say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import attrs

from toka.tools.sandbox._level import SandboxLevel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from toka.capability.core import Permission
    from toka.tools.sandbox._level import SandboxPolicy

# With a slash at its end, a directory with all that is below it; else a file.
_SYSTEM: Final[tuple[str, ...]] = (
    "/usr/",
    "/bin/",
    "/sbin/",
    "/lib/",
    "/lib32/",
    "/lib64/",
    "/etc/alternatives/",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d/",
    "/etc/localtime",
    "/etc/ssl/certs/",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
)
_PROGRAMS: Final = ("/usr/", "/bin/", "/sbin/")
_NETWORK: Final = ("/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/services")
_WRITABLE: Final[tuple[str, ...]] = ("/dev/null", "/dev/zero", "/dev/full")


@attrs.frozen
class Confinement:
    """Paths and switches as the launcher takes them."""

    readable: tuple[str, ...]
    writable: tuple[str, ...]
    network: bool
    namespaces: bool


def confinement(
    policy: SandboxPolicy,
    permissions: Iterable[Permission],
    *,
    program: str,
    scratch: Path | None,
    protected: tuple[Path, ...],
    network: bool,
) -> Confinement | None:
    """Return what a command is kept in, or None where the policy asks for no confinement.

    A permission counts if it can be said with directories: one file, or everything below a
    directory. `/data/*.txt` is neither, so the command is given nothing by it.

    Args:
        policy: What the operator demands.
        permissions: The caller's.
        program: The file that is run.
        scratch: The command's own directory, which it may change.
        protected: What stays closed whatever is granted; a directory with something protected in
            it is opened entry by entry, so nothing new can be made in it.
        network: Whether the network is granted.
    """
    if not policy.level.confines:
        return None
    readable: list[str] = [*_SYSTEM, *[_tree(path) for path in policy.readable]]
    if not os.path.realpath(program).startswith(_PROGRAMS):
        # Commands are started by the same process only if they are kept in exactly alike.
        readable.append(program)
    writable: list[str] = [*_WRITABLE]
    closed = tuple(os.path.realpath(path) for path in protected)
    if network:
        readable += _NETWORK
    if policy.level is SandboxLevel.NAMESPACES:
        readable.append("/proc/")
    for permission in permissions:
        path = _path(permission)
        if path is None:
            continue
        opened = list(_open(path, closed))
        readable += opened if permission.action in ("read", "*") else ()
        writable += opened if permission.action in ("write", "*") else ()
    if scratch is not None:
        readable.append(_tree(scratch))
        writable.append(_tree(scratch))
    return Confinement(
        tuple(readable), tuple(writable), network, policy.level is SandboxLevel.NAMESPACES
    )


def _tree(path: Path) -> str:
    return f"{path}/" if path.is_dir() else str(path)


def _path(permission: Permission) -> str | None:
    """Return the file, or with a slash the directory, that a permission opens as a whole."""
    if permission.domain != "fs" or not permission.resource.startswith("/"):
        return None
    plain = permission.resource.removesuffix("/**")
    if "*" in plain:
        return None
    path = unquote(plain, errors="surrogateescape")
    return path if plain == permission.resource else f"{path}/"


def _open(path: str, closed: tuple[str, ...]) -> Iterable[str]:
    real = os.path.realpath(path)
    if any(real == one or real.startswith(f"{one}/") for one in closed):
        return
    below = real if real.endswith("/") else f"{real}/"
    if not path.endswith("/") or not any(one.startswith(below) for one in closed):
        yield below if path.endswith("/") else real
        return
    for entry in os.scandir(real):
        is_directory = entry.is_dir(follow_symlinks=False)
        if not entry.is_symlink():
            yield from _open(f"{entry.path}/" if is_directory else entry.path, closed)

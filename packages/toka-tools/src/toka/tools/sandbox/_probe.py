"""The command of the self-test: tries to get out, and prints what held. Standard library only."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_NEW_USER = 0x10000000


def main() -> None:
    """Try what the argument says, and print the facts."""
    asked = json.loads(sys.argv[1])
    facts = _limits(asked["files"])
    if asked["level"] in ("landlock", "namespaces"):
        facts |= _files(Path(asked["inside"]), Path(asked["outside"]))
        facts |= _processes(asked["program"])
        facts |= _network(asked["tcp"], asked["udp"], asked["abstract"])
    if asked["level"] == "namespaces":
        facts |= _own_processes()
    sys.stdout.write(json.dumps(facts))


def _refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False


def _limits(files: int) -> dict[str, bool]:
    return {
        "open files are limited": resource.getrlimit(resource.RLIMIT_NOFILE)[1] == files,
        "no core files": resource.getrlimit(resource.RLIMIT_CORE)[1] == 0,
        "no new privileges": sys.platform != "linux" or _has_no_new_privileges(),
    }


def _has_no_new_privileges() -> bool:
    return bool(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0) == 1)  # PR_GET_NO_NEW_PRIVS


def _files(inside: Path, outside: Path) -> dict[str, bool]:
    (inside / "link").symlink_to(outside / "secret")
    (inside / "made").write_text("made")
    return {
        "files inside are open": (inside / "made").read_text() == "made",
        "files outside are not read": _refused((outside / "secret").read_text),
        "links to the outside are not followed": _refused((inside / "link").read_text),
        "files outside are not made": _refused(lambda: (outside / "new").write_text("")),
        "files outside are not replaced": _refused(lambda: (outside / "secret").write_text("")),
        "files outside are not removed": _refused((outside / "secret").unlink),
        "directories outside are not listed": _refused(lambda: os.listdir(outside)),  # noqa: PTH208
        "users are not listed": _refused(Path("/etc/passwd").read_text),
    }


def _processes(program: int) -> dict[str, bool]:
    return {
        "other processes are not signalled": _refused(lambda: os.kill(program, 0)),
        "other environments are not read": _refused(Path(f"/proc/{program}/environ").read_bytes),
        "other memory is not read": _refused(lambda: os.open(f"/proc/{program}/mem", os.O_RDONLY)),
        "no namespaces are made": ctypes.CDLL(None).unshare(_NEW_USER) != 0,
    }


def _network(tcp: int, udp: int, abstract: str) -> dict[str, bool]:
    return {
        "TCP is closed": _refused(lambda: socket.create_connection(("127.0.0.1", tcp), 5).close()),
        "UDP is closed": _refused(lambda: _send(udp)),
        "abstract sockets are closed": _refused(lambda: _connect(abstract)),
    }


def _send(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"out", ("127.0.0.1", port))


def _connect(address: str) -> None:
    with socket.socket(socket.AF_UNIX) as connecting:
        connecting.connect(address)


def _own_processes() -> dict[str, bool]:
    seen = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    return {"no other processes are seen": sorted(map(int, seen)) == [1, os.getpid()]}


if __name__ == "__main__":
    main()

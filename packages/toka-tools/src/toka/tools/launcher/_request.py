"""What is asked of the launcher; `process/_process.py` writes it, as JSON."""

from __future__ import annotations


class Confinement:
    """What a command is kept from, beside its limits."""

    __slots__ = ("namespaces", "network", "readable", "writable")

    def __init__(
        self,
        readable: list[str],
        writable: list[str],
        network: bool,
        namespaces: bool,
    ) -> None:
        self.readable = readable
        """Paths that may be read, and run."""
        self.writable = writable
        self.network, self.namespaces = network, namespaces


class Request:
    """A program, how it is called, and what it may use."""

    __slots__ = ("argv", "confinement", "environment", "limits", "program")

    def __init__(
        self,
        program: str,
        argv: list[str],
        environment: dict[str, str],
        limits: dict[str, int],
        confinement: Confinement | None,
    ) -> None:
        self.program, self.argv, self.environment = program, argv, environment
        self.limits = limits
        self.confinement = confinement

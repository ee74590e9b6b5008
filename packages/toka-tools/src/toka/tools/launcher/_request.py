"""What is asked of the launcher; `_process.py` writes it, as JSON."""

from __future__ import annotations


class Request:
    """A program, how it is called, and what it may use."""

    __slots__ = ("argv", "confinement", "environment", "limits", "program")

    def __init__(
        self,
        program: str,
        argv: list[str],
        environment: dict[str, str],
        limits: dict[str, int],
        confinement: dict[str, list[str]] | None,
    ) -> None:
        self.program, self.argv, self.environment = program, argv, environment
        self.limits = limits
        self.confinement = confinement
        """Paths by what may be done with them, and `namespaces` and `network` if they are there;
        None for no confinement."""

"""The errors of this distribution.

PerformanceError
├── InvalidFigure    what was given cannot be measured, fitted or judged (also a ValueError)
├── NotInstalled     an optional part, or a peer, is not on this machine
├── UnreadableResult a stored result is not what this version can read
└── TelemetryError   telemetry cannot be set up as asked
"""

from __future__ import annotations

from typing import ClassVar

from toka.types import TokaError


class PerformanceError(TokaError):
    """The base of all errors of this distribution."""

    default_code: ClassVar[str] = "performance.error"


class InvalidFigure(PerformanceError, ValueError):
    """What was given cannot be measured, fitted or judged; the message says why."""

    default_code: ClassVar[str] = "performance.invalid_figure"


class NotInstalled(PerformanceError):
    """What is needed here is not on this machine; the message says what."""

    default_code: ClassVar[str] = "performance.not_installed"


class UnreadableResult(PerformanceError):
    """A stored result cannot be read; the message names the file and the place in it."""

    default_code: ClassVar[str] = "performance.unreadable_result"


class TelemetryError(PerformanceError):
    """Telemetry cannot be set up as asked; nothing of it was left behind."""

    default_code: ClassVar[str] = "performance.telemetry"

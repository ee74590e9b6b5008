"""Records of `logging` as OpenTelemetry has them, tied to the span in which they were written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from opentelemetry._logs import SeverityNumber

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LoggerProvider

_SEVERITIES: Final = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
    (logging.DEBUG, SeverityNumber.DEBUG),
)


class LogHandler(logging.Handler):
    """Hands records on; those of the exporters themselves are left out, or they would go round."""

    def __init__(self, loggers: LoggerProvider, level: int) -> None:
        super().__init__(level)
        self._loggers = loggers

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what the exporter, or the client it uses, has to say."""
        if record.name.partition(".")[0] in {"opentelemetry", "urllib3"}:
            return False
        return bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._loggers.get_logger(record.name).emit(
            timestamp=int(record.created * 1e9),
            severity_number=_severity(record.levelno),
            severity_text=record.levelname,
            body=self.format(record) if self.formatter else record.getMessage(),
            attributes={
                "code.function.name": record.funcName,
                "code.line.number": record.lineno,
                "thread.name": record.threadName or "",
            },
            exception=error,
        )


def _severity(level: int) -> SeverityNumber:
    return next((number for least, number in _SEVERITIES if level >= least), SeverityNumber.TRACE)

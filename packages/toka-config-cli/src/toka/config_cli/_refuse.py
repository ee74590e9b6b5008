"""How a module raises an error without importing the errors.

The tree of errors stands on toka-types, whose import takes half of the processor time that a cold
`toka-config get` may take; so it is imported when something is refused and not before.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def refuse(kind: str, message: str, hint: str = "") -> NoReturn:
    """Raise the error whose class is called `kind`.

    Args:
        kind: A name of `_errors`; a test holds every use to it.
        message: What is wrong, and where.
        hint: What to do about it.
    """
    from toka.config_cli import _errors  # noqa: PLC0415 - see above

    error: type[_errors.ConfigError] = getattr(_errors, kind)
    raise error(message, hint=hint)

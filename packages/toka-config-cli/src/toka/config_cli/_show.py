"""Values for people and for programs, on standard output."""

from __future__ import annotations

import json
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from toka.config_cli._value import Moment, Value


def show(value: Value, format: str = "") -> str:  # noqa: A002 - the word
    """Return a value as text that ends in a line break.

    Args:
        value: What to show.
        format: yaml, json or toml; empty for plain text where it is one value, else JSON.

    Raises:
        CannotCarry: The format cannot hold it.
    """
    if format == "yaml":
        from toka.config_cli._write_scalar import block_lines  # noqa: PLC0415 - one of three

        return "\n".join(block_lines(value)) + "\n"
    if format == "toml":
        from toka.config_cli._toml import write_toml  # noqa: PLC0415 - one of three formats

        return write_toml(value)
    if not format and isinstance(value, str):
        return f"{value}\n"
    return json.dumps(value, ensure_ascii=False, indent=2, default=_moment) + "\n"


def _moment(value: Moment) -> str:
    return value.isoformat()


def write(text: str) -> None:
    """Print a text."""
    sys.stdout.write(text)

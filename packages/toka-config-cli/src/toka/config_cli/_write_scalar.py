"""Values to text: how a scalar or a container is written into YAML or JSON."""

from __future__ import annotations

import json
import math
import re

from toka.config_cli._refuse import refuse
from toka.config_cli._scalar import is_safe_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from toka.config_cli._value import Value

_STEP = "  "
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def write_json(value: Value) -> str:
    """Return a value as one line of JSON.

    Raises:
        CannotCarry: JSON has no way to write it.
    """
    if isinstance(value, float) and not math.isfinite(value):
        refuse("CannotCarry", f"JSON has no number {value}.", "Write a text or null.")
    if value is None or isinstance(value, bool | int | float | str):
        return json.dumps(_whole(value), ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join([write_json(item) for item in value])}]"
    if isinstance(value, dict):
        entries = [f"{write_json(key)}: {write_json(item)}" for key, item in value.items()]
        return f"{{{', '.join(entries)}}}"
    return refuse("CannotCarry", f"JSON has no dates or times, as {value.isoformat()} is.")


def _whole(value: bool | float | str | None) -> bool | float | str | None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            refuse("CannotCarry", "The text holds half of a surrogate pair, which is no character.")
    return value


def write_yaml(value: Value, style: str = "", *, flow: bool = False) -> str:
    """Return a value as YAML on one line; a container in brackets.

    Args:
        value: What to write.
        style: The quotes to keep where they can hold a text: "", ' or ".
        flow: Whether it stands within brackets, where fewer texts go without quotes.

    Raises:
        CannotCarry: YAML has no way to write it.
    """
    if isinstance(value, str):
        return _yaml_text(value, style, flow=flow)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return _yaml_float(value)
    if isinstance(value, list):
        return f"[{', '.join([write_yaml(item, flow=True) for item in value])}]"
    if isinstance(value, dict):
        entries = [
            f"{write_yaml(key, flow=True)}: {write_yaml(item, flow=True)}"
            for key, item in value.items()
        ]
        return f"{{{', '.join(entries)}}}"
    return str(value) if isinstance(value, int) else f'"{value.isoformat()}"'


def _yaml_float(value: float) -> str:
    if math.isfinite(value):
        text = repr(value)
        # YAML 1.1 takes 1e+16 for a text: it wants a point.
        return text if "." in text else text.replace("e", ".0e")
    return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"


def _yaml_text(text: str, style: str, *, flow: bool) -> str:
    if style == "'" and not _UNPRINTABLE.search(text):
        return "'" + text.replace("'", "''") + "'"
    plain = style not in ("'", '"') and is_safe_plain(text)
    if plain and not (flow and ":" in text):
        return text
    quoted = json.dumps(_whole(text), ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def write_block(value: Value, indent: str, newline: str) -> str:
    """Return a container as YAML lines, the first without its indentation, none with a break.

    Raises:
        CannotCarry: YAML has no way to write it.
    """
    return f"{newline}{indent}".join(block_lines(value))


def block_lines(value: Value) -> list[str]:
    """Return the lines of a value in block style, not indented."""
    if isinstance(value, dict) and value:
        lines: list[str] = []
        for key, item in value.items():
            lines += _entry_lines(key, item)
        return lines
    if isinstance(value, list) and value:
        lines = []
        for item in value:
            first, *rest = block_lines(item)
            lines += [f"- {first}", *[f"{_STEP}{line}" for line in rest]]
        return lines
    return [write_yaml(value)]


def _entry_lines(key: str, item: Value) -> list[str]:
    name = write_yaml(key)
    lines = block_lines(item)
    if isinstance(item, dict | list) and item:
        return [f"{name}:", *[f"{_STEP}{line}" for line in lines]]
    return [f"{name}: {lines[0]}"]


def literal(text: str, indent: str, newline: str) -> str | None:
    """Return a text of several lines as a literal block scalar, or None where it does not fit."""
    body = text.removesuffix("\n")
    lines = body.split("\n")
    fits = (
        len(lines) > 1
        and not lines[0].startswith((" ", "\t"))
        and lines[0] != ""
        and lines[-1].strip() != ""
        and not _UNPRINTABLE.search(body.replace("\n", ""))
    )
    if not fits:
        return None
    head = "|" if text.endswith("\n") else "|-"
    return newline.join([head, *[f"{indent}{line}" if line else "" for line in lines]])

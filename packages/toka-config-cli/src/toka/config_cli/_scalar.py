"""Plain scalars of YAML 1.2's core schema, and of JSON: which value a text is.

`yes`, `no`, `on` and `off` are texts here, as YAML 1.2 has it (section 10.3.2); what YAML 1.1 takes
for something else is therefore written in quotes.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from toka.config_cli._value import Value

_WORDS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMBER = re.compile(
    r"(?P<integer>[-+]?[0-9]+)|(?P<octal>0o[0-7]+)|(?P<hex>0x[0-9a-fA-F]+)"
    r"|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
)
_MAX_DIGITS = 4_000
"""Python refuses to read longer integers, for the time that takes; they stay texts."""
_STARTS = frozenset("0123456789+-.")
_OLD_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "", "="})
_SAFE = re.compile(r"[A-Za-z_/$](?:[A-Za-z0-9_./@+$*()<>=^;\\-]|:(?=[A-Za-z0-9_/])| (?=[^ #]))*")


def resolve(text: str, *, yaml: bool = True) -> Value:
    """Return the value of a plain scalar."""
    if text[:1] in _STARTS and len(text) <= _MAX_DIGITS:
        number = _NUMBER.fullmatch(text)
        if number is not None:
            return _number(text, number)
    if not yaml:
        return {"true": True, "false": False, "null": None}[text]
    return _WORDS.get(text, text)


def _number(text: str, number: re.Match[str]) -> int | float:
    if number["integer"]:
        return int(text)
    return int(text, 0) if number["octal"] or number["hex"] else float(text)


def is_safe_plain(text: str) -> bool:
    """Say whether every reader of YAML takes `text`, written without quotes, for that text."""
    return _SAFE.fullmatch(text) is not None and text[-1] != " " and text.lower() not in _OLD_WORDS

"""Plain scalars of YAML that not every reader takes for the same value.

YAML 1.1, which many programs read, and YAML 1.2 differ on `on`, `no`, `012`, `1:30`, dates and
more. Toka's own readers refuse such a word where a text or a number is needed, and ask for quotes;
so does the validation here.
"""

from __future__ import annotations

import re

from toka.config_cli._scalar import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from toka.config_cli._value import Value

_TRUTH = re.compile(r"y|n|yes|no|on|off", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?")
_NUMBER = re.compile(
    r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(?::[0-5]?[0-9])*(?:\.[0-9_]*)?"
    r"|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))"
    r"|\.(?:nan|NaN|NAN)"
)


class Vague(str):
    """A text as it was written, and why it may be read as another value."""

    __slots__ = ("reason",)

    reason: str


def vague(text: str, reason: str) -> Vague:
    """Return a text that is marked."""
    marked = Vague(text)
    marked.reason = reason
    return marked


def read_exact(text: str) -> Value:
    """Return the value of a plain scalar, or its text, marked, where readers differ."""
    if _TRUTH.fullmatch(text):
        return vague(text, "a truth value in YAML 1.1 and text in YAML 1.2")
    if _PLAIN_NUMBER.fullmatch(text):
        return resolve(text)
    if _DATE.fullmatch(text):
        return vague(text, "a date in YAML 1.1 and text in YAML 1.2")
    if _NUMBER.fullmatch(text):
        return vague(text, "a number that not every reader takes for the same one")
    return resolve(text)

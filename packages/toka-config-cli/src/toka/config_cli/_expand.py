"""Environment variables in texts, as a reader of the file would see them: never written."""

from __future__ import annotations

import os
import re

from toka.config_cli._refuse import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.config_cli._value import Value

_VARIABLE = re.compile(
    r"\$(?:\$|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<rule>:?[-?])(?P<word>[^}]*))?\})"
)


def expand(value: Value, variables: Mapping[str, str] | None = None) -> Value:
    """Return a value with `${NAME}`, `${NAME:-default}` and `${NAME:?message}` filled in.

    `$$` is one dollar. Anything else in braces, as `${inputs.target}`, stays.

    Raises:
        NotThere: A variable without a default is not set.
    """
    known = os.environ if variables is None else variables
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _filled(match, known), value)
    if isinstance(value, list):
        return [expand(item, known) for item in value]
    if isinstance(value, dict):
        return {key: expand(item, known) for key, item in value.items()}
    return value


def _filled(match: re.Match[str], known: Mapping[str, str]) -> str:
    name, rule, word = match["name"], match["rule"] or "", match["word"] or ""
    if name is None:
        return "$"
    found = known.get(name)
    if found or (found is not None and not rule.startswith(":")):
        return found
    if rule.endswith("-"):
        return word
    what = f"The variable {name} is not set. {word}"
    return refuse("NotThere", what.strip(), "Set it, or write ${NAME:-default}.")

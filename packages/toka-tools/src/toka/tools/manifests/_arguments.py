"""The arguments of a call as the options of a program: `--output-format=svg --verbose`.

A value is always joined to its option, so that none can be taken for another option. A list
repeats the option; of truth values, the true one stands alone and the false one is `--no-...`
where true is the default and nothing elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from toka.tools._errors import InvalidArgumentsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from toka.tools.manifests._manifest import Parameter
    from toka.types import Json


def with_defaults(
    parameters: Sequence[Parameter], arguments: Mapping[str, Json]
) -> dict[str, object]:
    """Return the arguments of a call, with the manifest's defaults for those not given."""
    known = {one.name: one.default for one in parameters if one.default is not None}
    return {**known, **arguments}


def options(
    parameters: Sequence[Parameter], values: Mapping[str, object], tool: str
) -> tuple[str, ...]:
    """Return the options for a program.

    Raises:
        InvalidArgumentsError: A value cannot be written as an option.
    """
    found: list[str] = []
    for parameter in parameters:
        if parameter.name in values:
            found.extend(_option(parameter, values[parameter.name], tool))
    return tuple(found)


def _option(parameter: Parameter, value: object, tool: str) -> Iterable[str]:
    name = parameter.name.replace("_", "-")
    if isinstance(value, bool):
        if value or parameter.default is True:
            yield f"--{name}" if value else f"--no-{name}"
        return
    many = cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else (value,)
    for one in many:
        yield f"--{name}={_text(one, parameter.name, tool)}"


def _text(value: object, name: str, tool: str) -> str:
    text = value if isinstance(value, str) else None
    if isinstance(value, (int, float)):
        text = msgspec.json.encode(value).decode()
    try:
        if text is not None and "\0" not in text and text.encode():
            return text
    except UnicodeEncodeError:
        text = None
    if text == "":
        return ""
    raise InvalidArgumentsError(
        f"{tool}: $.{name}: a value cannot be passed to a program.",
        hint="Pass text without NUL, numbers, truth values, or lists of these.",
        details={"tool": tool, "path": f"$.{name}"},
    )

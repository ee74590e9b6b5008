"""Parameters checked against the JSON Schema that a plug-in declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.store.core.semantic._errors import (
    InvalidConfiguration,
    InvalidPlugin,
    SchemaUnchecked,
)

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

    from toka.store.core.semantic._plugin import PluginInfo
    from toka.types import JsonObject


def check_schema(info: PluginInfo) -> None:
    """Check that a plug-in's schema is JSON Schema 2020-12.

    Raises:
        InvalidPlugin: It is not.
        SchemaUnchecked: jsonschema is not installed.
    """
    if info.schema is not None:
        _validator(info, info.schema)


def check_parameters(info: PluginInfo, parameters: JsonObject) -> None:
    """Check parameters against the schema of their plug-in; without one, there must be none.

    Raises:
        InvalidConfiguration: A rule is broken; the outermost place is named.
        InvalidPlugin: The schema refers to something outside itself; nothing is ever fetched.
        SchemaUnchecked: jsonschema is not installed.
    """
    if info.schema is None:
        if parameters:
            raise InvalidConfiguration(info.id, "$", "schema", "it takes no parameters")
        return
    validator = _validator(info, info.schema)
    from referencing.exceptions import Unresolvable  # noqa: PLC0415 - comes with jsonschema

    try:
        faults = validator.iter_errors(dict(parameters))
        fault = min(faults, key=lambda each: len(each.absolute_path), default=None)
    except Unresolvable as error:
        raise InvalidPlugin(info.id, f"its schema refers outside itself: {error}") from error
    if fault is not None:
        rule, wanted = str(fault.validator), str(fault.validator_value)
        demand = f"the schema demands {rule} {wanted}"
        raise InvalidConfiguration(info.id, fault.json_path, rule, demand[:300])


def _validator(info: PluginInfo, schema: JsonObject) -> Validator:
    try:
        import jsonschema  # noqa: PLC0415 - 60 ms at import, and an extra
        import referencing  # noqa: PLC0415 - comes with it
    except ImportError as error:
        raise SchemaUnchecked(info.id) from error
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise InvalidPlugin(
            info.id, f"its schema is not JSON Schema at {error.json_path}: {error.message}"
        ) from error
    # Without a registry of its own, the validator would download references that it meets.
    return jsonschema.Draft202012Validator(schema, registry=referencing.Registry())

"""What the semantic layer refuses.

SemanticError
├── InvalidPlugin            no family, no identifier, or a schema that is none
│   └── DuplicatePlugin      the identifier is taken
├── UnknownPlugin
├── InvalidConfiguration     breaks the plug-in's own schema; the old one stays in force
├── SchemaUnchecked          a schema is declared and nothing is installed that checks it
├── InvalidFinding           a number outside 0 to 1, or a name that is empty
└── AnalysisFailed           a plug-in could not do its work
"""

from __future__ import annotations

from toka.store.core._errors import StoreError


class SemanticError(StoreError):
    """The base of every error of the semantic layer."""

    default_code = "semantic.error"


class InvalidPlugin(SemanticError, ValueError):
    """A plug-in cannot be registered; the registry is as it was."""

    default_code = "semantic.invalid_plugin"

    def __init__(self, plugin: str, what: str) -> None:
        super().__init__(
            f"The plug-in {plugin!r} cannot be registered: {what}.",
            details={"plugin": plugin, "what": what},
        )


class DuplicatePlugin(InvalidPlugin):
    """A plug-in of the same identifier is registered."""

    default_code = "semantic.duplicate_plugin"

    def __init__(self, plugin: str) -> None:
        super().__init__(plugin, "its identifier is taken")


class UnknownPlugin(SemanticError, LookupError):
    """No plug-in of this identifier is registered."""

    default_code = "semantic.unknown_plugin"

    def __init__(self, plugin: str, registered: list[str]) -> None:
        super().__init__(
            f"No plug-in {plugin!r} is registered.",
            hint=f"Registered: {', '.join(registered) or 'none'}.",
            details={"plugin": plugin, "registered": list(registered)},
        )


class InvalidConfiguration(SemanticError, ValueError):
    """Parameters break the schema that the plug-in declares; those in force stay."""

    default_code = "semantic.invalid_configuration"

    def __init__(self, plugin: str, path: str, rule: str, what: str) -> None:
        """Say which rule is broken where; a value may be confidential and is not repeated.

        Args:
            plugin: The identifier of the plug-in.
            path: Of the value concerned, as in `$.limit`.
            rule: The keyword of JSON Schema, as in `maximum`.
            what: The demand, as the end of a sentence.
        """
        super().__init__(
            f"The parameters of the plug-in {plugin!r} are refused at {path}: {what}.",
            details={"plugin": plugin, "path": path, "rule": rule},
        )


class SchemaUnchecked(SemanticError):
    """A plug-in declares a schema, and the package that checks it is not installed."""

    default_code = "semantic.schema_unchecked"

    def __init__(self, plugin: str) -> None:
        super().__init__(
            f"The plug-in {plugin!r} declares a JSON Schema; jsonschema is not installed.",
            hint="Install toka-store-core[semantic].",
            details={"plugin": plugin},
        )


class InvalidFinding(SemanticError, ValueError):
    """A finding claims what cannot be: a confidence above 1, a nameless category."""

    default_code = "semantic.invalid_finding"

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"The finding's {field} {what}.", details={"field": field})


class AnalysisFailed(SemanticError):
    """A plug-in could not do its work; what it found before is as it was."""

    default_code = "semantic.analysis_failed"

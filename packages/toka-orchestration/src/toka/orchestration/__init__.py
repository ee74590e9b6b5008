"""Decide which agents run, when and where: specs, dependencies, workstreams and supervision."""

from toka.orchestration._errors import (
    MAX_REPORTED_ERRORS,
    DependencyCycleError,
    DuplicateNameError,
    MissingKeyError,
    OrchestrationError,
    SeveralSpecErrors,
    SpecError,
    SpecExpressionError,
    SpecFileError,
    SpecInputError,
    SpecStructureError,
    SpecSyntaxError,
    UnknownDependencyError,
    UnknownKeyError,
)
from toka.orchestration._place import Place, SpecWarning
from toka.orchestration._spec_set import SpecSet, SpecSettings, load_specs, parse_specs

__all__ = [
    "MAX_REPORTED_ERRORS",
    "DependencyCycleError",
    "DuplicateNameError",
    "MissingKeyError",
    "OrchestrationError",
    "Place",
    "SeveralSpecErrors",
    "SpecError",
    "SpecExpressionError",
    "SpecFileError",
    "SpecInputError",
    "SpecSet",
    "SpecSettings",
    "SpecStructureError",
    "SpecSyntaxError",
    "SpecWarning",
    "UnknownDependencyError",
    "UnknownKeyError",
    "load_specs",
    "parse_specs",
]

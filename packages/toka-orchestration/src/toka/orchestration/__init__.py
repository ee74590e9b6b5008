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
from toka.orchestration._graph import Plan
from toka.orchestration._inputs import resolve_inputs
from toka.orchestration._permissions import Granted, resolve_permissions
from toka.orchestration._place import Place, SpecWarning
from toka.orchestration._plan import active_tasks, plan, plan_tasks
from toka.orchestration._ready import Impossible, Ready, ready
from toka.orchestration._spec_set import SpecSet, SpecSettings, load_specs, parse_specs
from toka.orchestration._spec_tasks import playbook_of

__all__ = [
    "MAX_REPORTED_ERRORS",
    "DependencyCycleError",
    "DuplicateNameError",
    "Granted",
    "Impossible",
    "MissingKeyError",
    "OrchestrationError",
    "Place",
    "Plan",
    "Ready",
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
    "active_tasks",
    "load_specs",
    "parse_specs",
    "plan",
    "plan_tasks",
    "playbook_of",
    "ready",
    "resolve_inputs",
    "resolve_permissions",
]

"""Decide which agents run, when and where: specs, dependencies, workstreams and supervision."""

from toka.orchestration._definition import define_run, permissions_of
from toka.orchestration._engine import Orchestrator
from toka.orchestration._errors import (
    MAX_REPORTED_ERRORS,
    ArtifactsUnusable,
    DependencyCycleError,
    DuplicateNameError,
    Interrupted,
    MissingKeyError,
    OrchestrationError,
    RunActive,
    RunBusy,
    SeveralSpecErrors,
    SpecChanged,
    SpecError,
    SpecExpressionError,
    SpecFileError,
    SpecInputError,
    SpecStructureError,
    SpecSyntaxError,
    StepNotRecorded,
    UnknownDependencyError,
    UnknownKeyError,
    UnknownRun,
    UnknownStep,
)
from toka.orchestration._grants import VAULT, TokenDesk
from toka.orchestration._graph import Plan
from toka.orchestration._history import check_run_id, find_run, load_run, result_of
from toka.orchestration._inputs import resolve_inputs
from toka.orchestration._permissions import Granted, resolve_permissions
from toka.orchestration._place import Place, SpecWarning
from toka.orchestration._plan import active_tasks, plan, plan_tasks
from toka.orchestration._ready import Impossible, Ready, ready
from toka.orchestration._retry import define_retry, require_source_unchanged
from toka.orchestration._run import (
    AgentResult,
    ObjectiveResult,
    RetryOf,
    RunDefinition,
    RunResult,
    require_unchanged,
)
from toka.orchestration._spec_cache import SpecCache
from toka.orchestration._spec_set import SpecSet, SpecSettings, load_specs, parse_specs
from toka.orchestration._spec_tasks import playbook_of
from toka.orchestration._view import AgentView, ApprovalView, AttemptView, Runs, RunView, TaskView

__all__ = [
    "MAX_REPORTED_ERRORS",
    "VAULT",
    "AgentResult",
    "AgentView",
    "ApprovalView",
    "ArtifactsUnusable",
    "AttemptView",
    "DependencyCycleError",
    "DuplicateNameError",
    "Granted",
    "Impossible",
    "Interrupted",
    "MissingKeyError",
    "ObjectiveResult",
    "OrchestrationError",
    "Orchestrator",
    "Place",
    "Plan",
    "Ready",
    "RetryOf",
    "RunActive",
    "RunBusy",
    "RunDefinition",
    "RunResult",
    "RunView",
    "Runs",
    "SeveralSpecErrors",
    "SpecCache",
    "SpecChanged",
    "SpecError",
    "SpecExpressionError",
    "SpecFileError",
    "SpecInputError",
    "SpecSet",
    "SpecSettings",
    "SpecStructureError",
    "SpecSyntaxError",
    "SpecWarning",
    "StepNotRecorded",
    "TaskView",
    "TokenDesk",
    "UnknownDependencyError",
    "UnknownKeyError",
    "UnknownRun",
    "UnknownStep",
    "active_tasks",
    "check_run_id",
    "define_retry",
    "define_run",
    "find_run",
    "load_run",
    "load_specs",
    "parse_specs",
    "permissions_of",
    "plan",
    "plan_tasks",
    "playbook_of",
    "ready",
    "require_source_unchanged",
    "require_unchanged",
    "resolve_inputs",
    "resolve_permissions",
    "result_of",
]

"""Execute one agent's task as durable steps: playbook, code or model."""

from toka.agent_runtime._agent_runtime import AgentRuntime, Program
from toka.agent_runtime._approvals import ApprovalPolicy
from toka.agent_runtime._code import Code, load_entry
from toka.agent_runtime._context import TaskContext
from toka.agent_runtime._errors import (
    AgentError,
    EntryInvalid,
    ExpressionFailed,
    ModelStopped,
    NoModel,
    OutcomeMissing,
    PlaybookInvalid,
    ResultInvalid,
    StepDenied,
    StepDiffers,
    StepFailed,
    StepInDoubt,
    StepMisplaced,
    StepTimedOut,
    TaskTimedOut,
    TemplateInvalid,
)
from toka.agent_runtime._limits import NO_LIMITS, TaskLimits
from toka.agent_runtime._model_run import FINISH, ModelProgram, Reaching
from toka.agent_runtime._model_steps import Conversation, ModelSettings
from toka.agent_runtime._options import DEFAULT_OPTIONS, TaskOptions
from toka.agent_runtime._outcome import TaskOutcome
from toka.agent_runtime._playbook import Playbook, PlaybookStep
from toka.agent_runtime._quantities import parse_bytes, parse_cpu, parse_duration
from toka.agent_runtime._retry import NO_RETRY, RetryPolicy
from toka.agent_runtime._step_key import step_key_of
from toka.agent_runtime._template import ITEM_NAMES, STANDARD_NAMES, Template

__all__ = [
    "DEFAULT_OPTIONS",
    "FINISH",
    "ITEM_NAMES",
    "NO_LIMITS",
    "NO_RETRY",
    "STANDARD_NAMES",
    "AgentError",
    "AgentRuntime",
    "ApprovalPolicy",
    "Code",
    "Conversation",
    "EntryInvalid",
    "ExpressionFailed",
    "ModelProgram",
    "ModelSettings",
    "ModelStopped",
    "NoModel",
    "OutcomeMissing",
    "Playbook",
    "PlaybookInvalid",
    "PlaybookStep",
    "Program",
    "Reaching",
    "ResultInvalid",
    "RetryPolicy",
    "StepDenied",
    "StepDiffers",
    "StepFailed",
    "StepInDoubt",
    "StepMisplaced",
    "StepTimedOut",
    "TaskContext",
    "TaskLimits",
    "TaskOptions",
    "TaskOutcome",
    "TaskTimedOut",
    "Template",
    "TemplateInvalid",
    "load_entry",
    "parse_bytes",
    "parse_cpu",
    "parse_duration",
    "step_key_of",
]

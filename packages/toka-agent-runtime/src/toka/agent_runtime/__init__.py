"""Execute one agent's task as durable steps: playbook, code or model."""

from toka.agent_runtime._errors import (
    AgentError,
    EntryInvalid,
    ExpressionFailed,
    PlaybookInvalid,
    ResultInvalid,
    StepDenied,
    StepDiffers,
    StepFailed,
    StepInDoubt,
    StepTimedOut,
    TemplateInvalid,
)
from toka.agent_runtime._playbook import InDoubt, Playbook, PlaybookStep
from toka.agent_runtime._quantities import parse_bytes, parse_cpu, parse_duration
from toka.agent_runtime._retry import NO_RETRY, RetryPolicy
from toka.agent_runtime._template import ITEM_NAMES, STANDARD_NAMES, Template

__all__ = [
    "ITEM_NAMES",
    "NO_RETRY",
    "STANDARD_NAMES",
    "AgentError",
    "EntryInvalid",
    "ExpressionFailed",
    "InDoubt",
    "Playbook",
    "PlaybookInvalid",
    "PlaybookStep",
    "ResultInvalid",
    "RetryPolicy",
    "StepDenied",
    "StepDiffers",
    "StepFailed",
    "StepInDoubt",
    "StepTimedOut",
    "Template",
    "TemplateInvalid",
    "parse_bytes",
    "parse_cpu",
    "parse_duration",
]

"""Errors as recorded facts, and recorded facts as errors.

A step that fails raises the same error when it fails and when its record is replayed, so that a
program cannot tell a first run from a resumed one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

import msgspec

from toka.agent_runtime._encoding import decode
from toka.agent_runtime._errors import (
    ExpressionFailed,
    NoModel,
    ResultInvalid,
    StepDenied,
    StepFailed,
    StepInDoubt,
    StepTimedOut,
)
from toka.llm_gateway import (
    AuthenticationFailed,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    QuotaExhausted,
    ResponseInvalid,
    ResponseTooLarge,
)
from toka.tools import (
    AccessDeniedError,
    AddressDeniedError,
    CommandDeniedError,
    InvalidArgumentsError,
    InvalidToolError,
    PathDeniedError,
    PersonDeclinedError,
    UnknownToolError,
)
from toka.types import NULL, Failure, TokaError

if TYPE_CHECKING:
    from toka.runtime import Rejected
    from toka.types import JsonObject

RAISED: Final = "agent.step_raised"
"""Code of a failure whose error is not one of Toka's."""
CANCELLED: Final = "agent.step_cancelled"
"""Code of a step that its own program cancelled."""

_CLASSES: Final[Mapping[str, type[StepFailed]]] = {
    kind.default_code: kind for kind in (ExpressionFailed, StepTimedOut, StepInDoubt)
}
_FINAL: Final = frozenset(
    kind.default_code
    for kind in (
        AccessDeniedError,
        AddressDeniedError,
        AuthenticationFailed,
        CommandDeniedError,
        ContentFiltered,
        ContextTooLong,
        InvalidArgumentsError,
        InvalidRequest,
        InvalidToolError,
        ModelNotFound,
        NoModel,
        PathDeniedError,
        PersonDeclinedError,
        QuotaExhausted,
        ResponseInvalid,
        ResponseTooLarge,
        ResultInvalid,
        StepInDoubt,
        UnknownToolError,
    )
)
_MAX_MESSAGE: Final = 4_000


def failure_of(error: BaseException) -> Failure:
    """Return what is recorded of an error."""
    error = first_of(error)
    if not isinstance(error, TokaError):
        return Failure(RAISED, _shortened(f"{type(error).__name__}: {error}"))
    return Failure(error.code, _shortened(str(error)), _details(error))


def first_of(error: BaseException) -> BaseException:
    """Return the first error of a group, which is what ended the rest; or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _shortened(text: str) -> str:
    # What others write may hold anything; what is recorded is well-formed and in one form.
    text = unicodedata.normalize("NFC", text.encode(errors="backslashreplace").decode())
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}…"


def _details(error: TokaError) -> msgspec.Raw:
    if not error.details:
        return NULL
    try:
        return msgspec.Raw(msgspec.json.encode(error.details, order="sorted"))
    except (TypeError, ValueError):
        return NULL


def is_final(code: str) -> bool:
    """Return whether a failure says of itself that the same call would fail again."""
    return code in _FINAL or code.startswith("kernel.")


def denial(rejected: Rejected) -> Failure:
    """Return what is recorded of a step that the kernel refused."""
    details = {**rejected.details, "needed": rejected.rejection.needed}
    return Failure(
        rejected.code, rejected.message, msgspec.Raw(msgspec.json.encode(details, order="sorted"))
    )


def error_of(failure: Failure) -> StepFailed:
    """Return the error that stands for a recorded failure."""
    default = StepDenied if failure.code.startswith("kernel.") else StepFailed
    kind = _CLASSES.get(failure.code, default)
    details = decode(failure.details)
    known: JsonObject | None = details if isinstance(details, Mapping) else None
    return kind(failure.message, code=failure.code, details=known)

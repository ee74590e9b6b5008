"""One table from error codes to HTTP statuses, and what a problem document (RFC 9457) holds."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from toka.types import TokaError

STATUS_BY_CODE: Final[dict[str, HTTPStatus]] = {
    "auth.": HTTPStatus.UNAUTHORIZED,
    "kernel.": HTTPStatus.CONFLICT,
    "kernel.answer_invalid": HTTPStatus.UNPROCESSABLE_ENTITY,
    "kernel.approval_self": HTTPStatus.FORBIDDEN,
    "kernel.approval_unknown": HTTPStatus.NOT_FOUND,
    "kernel.capability_denied": HTTPStatus.FORBIDDEN,
    "kernel.limit_exceeded": HTTPStatus.TOO_MANY_REQUESTS,
    "kernel.malformed_request": HTTPStatus.UNPROCESSABLE_ENTITY,
    "kernel.tainted": HTTPStatus.FORBIDDEN,
    "kernel.token_conflict": HTTPStatus.UNAUTHORIZED,
    "kernel.token_expired": HTTPStatus.UNAUTHORIZED,
    "kernel.unknown_agent": HTTPStatus.NOT_FOUND,
    "orchestration.run_active": HTTPStatus.CONFLICT,
    "orchestration.spec_changed": HTTPStatus.CONFLICT,
    "orchestration.step_not_recorded": HTTPStatus.CONFLICT,
    "orchestration.unknown_run": HTTPStatus.NOT_FOUND,
    "orchestration.unknown_step": HTTPStatus.NOT_FOUND,
    "runtime.closed": HTTPStatus.SERVICE_UNAVAILABLE,
    "runtime.log_failed": HTTPStatus.SERVICE_UNAVAILABLE,
    "runtime.overloaded": HTTPStatus.SERVICE_UNAVAILABLE,
    "service.conflict": HTTPStatus.CONFLICT,
    "service.forbidden": HTTPStatus.FORBIDDEN,
    "service.foreign_request": HTTPStatus.FORBIDDEN,
    "service.invalid": HTTPStatus.UNPROCESSABLE_ENTITY,
    "service.key_reused": HTTPStatus.UNPROCESSABLE_ENTITY,
    "service.malformed": HTTPStatus.BAD_REQUEST,
    "service.not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "service.not_found": HTTPStatus.NOT_FOUND,
    "service.starting": HTTPStatus.SERVICE_UNAVAILABLE,
    "service.too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "service.too_many": HTTPStatus.TOO_MANY_REQUESTS,
    "service.unsupported_body": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "spec.": HTTPStatus.UNPROCESSABLE_ENTITY,
    "types.": HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""By a code, or by the beginning of one up to a dot; the longest that fits decides."""


@attrs.frozen
class Problem:
    """What every refusal looks like (RFC 9457). `type` is always about:blank; `code` says which."""

    type: str
    title: str
    """The status in words."""
    status: int
    detail: str
    """A sentence for people."""
    code: str
    """Stable; what programs compare."""
    hint: str = ""
    """The next thing to try."""
    details: dict[str, object] = attrs.Factory(dict[str, object])


def status_of(code: str) -> HTTPStatus:
    """Return the HTTP status for an error with that code; 500 for one that is not in the table."""
    family = f"{code.partition('.')[0]}."
    found = STATUS_BY_CODE.get(code) or STATUS_BY_CODE.get(family)
    return found or HTTPStatus.INTERNAL_SERVER_ERROR


def problem_of(error: TokaError) -> Problem:
    """Return the document that describes an error."""
    status = status_of(error.code)
    return Problem(
        type="about:blank",
        title=status.phrase,
        status=status,
        detail=error.message,
        code=error.code,
        hint=error.hint,
        details=dict(error.details),
    )

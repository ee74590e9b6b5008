"""One table from error codes to HTTP statuses, and problem documents (RFC 9457) for all of them."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import attrs
import msgspec
from aiohttp import web

from toka.orchestration_service._errors import NotAllowed, NotFound, ServiceError, TooLarge
from toka.types import TokaError

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 1
"""What Retry-After says where waiting helps."""

STATUS_BY_CODE: Final[dict[str, HTTPStatus]] = {
    "auth.": HTTPStatus.UNAUTHORIZED,
    "kernel.": HTTPStatus.CONFLICT,
    "kernel.approval_self": HTTPStatus.FORBIDDEN,
    "kernel.approval_unknown": HTTPStatus.NOT_FOUND,
    "kernel.capability_denied": HTTPStatus.FORBIDDEN,
    "kernel.limit_exceeded": HTTPStatus.TOO_MANY_REQUESTS,
    "kernel.malformed_request": HTTPStatus.UNPROCESSABLE_ENTITY,
    "kernel.tainted": HTTPStatus.FORBIDDEN,
    "kernel.token_conflict": HTTPStatus.UNAUTHORIZED,
    "kernel.token_expired": HTTPStatus.UNAUTHORIZED,
    "kernel.unknown_agent": HTTPStatus.NOT_FOUND,
    "orchestration.unknown_run": HTTPStatus.NOT_FOUND,
    "runtime.closed": HTTPStatus.SERVICE_UNAVAILABLE,
    "runtime.log_failed": HTTPStatus.SERVICE_UNAVAILABLE,
    "runtime.overloaded": HTTPStatus.SERVICE_UNAVAILABLE,
    "service.conflict": HTTPStatus.CONFLICT,
    "service.forbidden": HTTPStatus.FORBIDDEN,
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

_WAITING_HELPS: Final = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})


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


def problem_response(error: TokaError) -> web.Response:
    """Return the answer for an error."""
    problem = problem_of(error)
    answer = web.Response(
        status=problem.status, body=msgspec.json.encode(problem), content_type=MEDIA_TYPE
    )
    if problem.status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="toka"'
    if problem.status in _WAITING_HELPS:
        answer.headers["Retry-After"] = str(RETRY_SECONDS)
    return answer


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into a problem document."""
    try:
        return await handler(request)
    except TokaError as error:
        if status_of(error.code) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.warning("%s %s failed: %s", request.method, request.path, error)
        return problem_response(error)
    except web.HTTPException as error:
        return _of_http(request, error)
    except ConnectionError:
        # The client has gone; there is nobody to answer.
        raise
    except Exception:
        # The outermost loop of a request: said in the log, and to the caller that it was.
        logger.exception("%s %s failed unexpectedly", request.method, request.path)
        unexpected = "Something unexpected went wrong; the service's log has it."
        return problem_response(ServiceError(unexpected))


def _of_http(request: web.Request, error: web.HTTPException) -> web.Response:
    match error:
        case web.HTTPNotFound():
            return problem_response(
                NotFound(
                    f"There is nothing at {request.path[:200]}.",
                    hint="/openapi.json lists what there is.",
                )
            )
        case web.HTTPMethodNotAllowed():
            allowed = sorted(error.allowed_methods)
            answer = problem_response(
                NotAllowed(
                    f"{request.method[:20]} is not possible here.",
                    hint=f"Possible: {', '.join(allowed)}.",
                )
            )
            answer.headers["Allow"] = ", ".join(allowed)
            return answer
        case web.HTTPRequestEntityTooLarge():
            return problem_response(TooLarge("The request's body is too long."))
        case _:
            status = HTTPStatus(error.status)
            problem = Problem(
                "about:blank", status.phrase, status, status.description, ServiceError.default_code
            )
            return web.Response(
                status=status, body=msgspec.json.encode(problem), content_type=MEDIA_TYPE
            )

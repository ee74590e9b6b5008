"""Every refusal as a problem document (RFC 9457)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from toka.orchestration_service._errors import NotAllowed, NotFound, ServiceError, TooLarge
from toka.orchestration_service._statuses import Problem, problem_of, status_of
from toka.types import TokaError

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 1
"""What Retry-After says where waiting helps."""

_WAITING_HELPS: Final = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})


def problem_response(error: TokaError) -> web.Response:
    """Return the answer for an error."""
    problem = problem_of(error)
    answer = web.Response(
        status=problem.status, body=msgspec.json.encode(problem), content_type=MEDIA_TYPE
    )
    if problem.status == HTTPStatus.UNAUTHORIZED:
        answer.headers.add("WWW-Authenticate", 'Bearer realm="toka"')
        answer.headers.add("WWW-Authenticate", 'DPoP algs="ES256 EdDSA RS256"')
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

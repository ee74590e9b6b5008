"""Errors of the service, each with the code that a problem document carries.

TokaError
└── ServiceError              service.error
    ├── MalformedRequest      service.malformed          the body or a parameter cannot be read
    ├── InvalidRequest        service.invalid            it can be read, and says nothing usable
    ├── TooLarge              service.too_large          the body, or its nesting
    ├── UnsupportedBody       service.unsupported_body   not JSON, or encoded
    ├── Forbidden             service.forbidden          the token does not cover the request
    ├── ForeignRequest        service.foreign_request    a page of somebody else's sent it
    ├── NotFound              service.not_found          no such thing, or not for this token
    ├── NotAllowed            service.not_allowed        no such method here
    ├── Conflict              service.conflict           the thing is in another state
    ├── KeyReused             service.key_reused         an Idempotency-Key of another request
    ├── TooMany               service.too_many           streams or runs; try again later
    ├── Starting              service.starting           the log is still being read
    └── AddressUnusable       service.address            the port cannot be listened on
"""

from __future__ import annotations

from toka.types import TokaError


class ServiceError(TokaError):
    """Base of every error of this distribution."""

    default_code = "service.error"


class MalformedRequest(ServiceError):
    """The body or a parameter cannot be read."""

    default_code = "service.malformed"


class InvalidRequest(ServiceError):
    """The request can be read, and what it says is not acceptable."""

    default_code = "service.invalid"


class TooLarge(ServiceError):
    """The body is longer, or nested deeper, than is read."""

    default_code = "service.too_large"


class UnsupportedBody(ServiceError):
    """The body is not plain JSON."""

    default_code = "service.unsupported_body"


class Forbidden(ServiceError):
    """The token is good and does not cover the request."""

    default_code = "service.forbidden"

    def __init__(self, needed: str) -> None:
        # What is needed follows from the request alone, so saying it tells nothing about the log.
        super().__init__(
            "The token does not cover this request.",
            hint=f"It needs {needed}.",
            details={"needed": needed},
        )


class ForeignRequest(ServiceError):
    """A page of somebody else's made use of a person's session."""

    default_code = "service.foreign_request"

    def __init__(self) -> None:
        super().__init__(
            "The request makes use of a session, and does not come from a page of this service.",
            hint="Reload the page; programs send a token in the Authorization header.",
        )


class NotFound(ServiceError):
    """There is no such thing, or the token may not know of it: the answer is the same."""

    default_code = "service.not_found"


class NotAllowed(ServiceError):
    """The resource has no such method."""

    default_code = "service.not_allowed"


class Conflict(ServiceError):
    """The thing is not in a state in which this can be done."""

    default_code = "service.conflict"


class KeyReused(ServiceError):
    """An idempotency key was used before, for another request."""

    default_code = "service.key_reused"


class TooMany(ServiceError):
    """A bound of the service is reached."""

    default_code = "service.too_many"


class Starting(ServiceError):
    """What was asked for is committed, and the service has not read as far yet."""

    default_code = "service.starting"


class AddressUnusable(ServiceError):
    """The address cannot be listened on."""

    default_code = "service.address"

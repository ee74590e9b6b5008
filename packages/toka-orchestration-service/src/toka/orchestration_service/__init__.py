"""The HTTP face of Toka: REST, live events, health and metrics."""

from toka.orchestration_service._errors import (
    AddressUnusable,
    Conflict,
    Forbidden,
    ForeignRequest,
    InvalidRequest,
    KeyReused,
    MalformedRequest,
    NotAllowed,
    NotFound,
    ServiceError,
    Starting,
    TooLarge,
    TooMany,
    UnsupportedBody,
)
from toka.orchestration_service._facilities import AccessFacts
from toka.orchestration_service._listen import LOOPBACK, PORT, create_app, listen, serve
from toka.orchestration_service._live import Live
from toka.orchestration_service._service import Service, Settings, open_service
from toka.orchestration_service._shapes import moment
from toka.orchestration_service._shapes_system import Key, Revocation
from toka.orchestration_service._statuses import STATUS_BY_CODE, Problem, status_of
from toka.orchestration_service.dashboard._links import SignInLinks

__all__ = [
    "LOOPBACK",
    "PORT",
    "STATUS_BY_CODE",
    "AccessFacts",
    "AddressUnusable",
    "Conflict",
    "Forbidden",
    "ForeignRequest",
    "InvalidRequest",
    "Key",
    "KeyReused",
    "Live",
    "MalformedRequest",
    "NotAllowed",
    "NotFound",
    "Problem",
    "Revocation",
    "Service",
    "ServiceError",
    "Settings",
    "SignInLinks",
    "Starting",
    "TooLarge",
    "TooMany",
    "UnsupportedBody",
    "create_app",
    "listen",
    "moment",
    "open_service",
    "serve",
    "status_of",
]

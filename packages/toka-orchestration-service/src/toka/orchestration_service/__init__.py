"""The HTTP face of Toka: REST, live events, health and metrics."""

from toka.orchestration_service._app import create_app
from toka.orchestration_service._errors import (
    AddressUnusable,
    Conflict,
    Forbidden,
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
from toka.orchestration_service._listen import LOOPBACK, PORT, listen, serve
from toka.orchestration_service._openapi import api_document
from toka.orchestration_service._problems import STATUS_BY_CODE, Problem, status_of
from toka.orchestration_service._route import Parameter, Route
from toka.orchestration_service._routes import ROUTES
from toka.orchestration_service._service import Service, Settings, open_service

__all__ = [
    "LOOPBACK",
    "PORT",
    "ROUTES",
    "STATUS_BY_CODE",
    "AddressUnusable",
    "Conflict",
    "Forbidden",
    "InvalidRequest",
    "KeyReused",
    "MalformedRequest",
    "NotAllowed",
    "NotFound",
    "Parameter",
    "Problem",
    "Route",
    "Service",
    "ServiceError",
    "Settings",
    "Starting",
    "TooLarge",
    "TooMany",
    "UnsupportedBody",
    "api_document",
    "create_app",
    "listen",
    "open_service",
    "serve",
    "status_of",
]

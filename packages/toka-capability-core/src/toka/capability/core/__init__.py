"""Permissions that cover one another, claims, and the protocols of token issuers and validators."""

from toka.capability.core._claims import (
    BUDGET_RESOURCES,
    ISSUED_AT_LEEWAY_SECONDS,
    MAX_AMOUNT,
    MAX_AUDIENCES,
    MAX_NAME_BYTES,
    MAX_TIME,
    Claims,
    validate_claims,
)
from toka.capability.core._denial import PUBLIC_DENIAL, Denial
from toka.capability.core._errors import (
    CapabilityError,
    HierarchyError,
    InvalidClaimsError,
    PermissionSyntaxError,
    TokenRefusedError,
)
from toka.capability.core._hierarchy import NO_IMPLICATIONS, ActionHierarchy, Implication
from toka.capability.core._permission import ANY_ACTION, Permission, Request
from toka.capability.core._permission_set import MAX_CACHED_ANSWERS, PermissionSet
from toka.capability.core._protocols import TokenIssuer, TokenValidator
from toka.capability.core._resource import MAX_PERMISSION_BYTES, MAX_WILDCARDS, quote_resource
from toka.capability.core._steady_time import SteadyTime
from toka.capability.core._wire import decode_claims, encode_claims, strict_json

__all__ = [
    "ANY_ACTION",
    "BUDGET_RESOURCES",
    "ISSUED_AT_LEEWAY_SECONDS",
    "MAX_AMOUNT",
    "MAX_AUDIENCES",
    "MAX_CACHED_ANSWERS",
    "MAX_NAME_BYTES",
    "MAX_PERMISSION_BYTES",
    "MAX_TIME",
    "MAX_WILDCARDS",
    "NO_IMPLICATIONS",
    "PUBLIC_DENIAL",
    "ActionHierarchy",
    "CapabilityError",
    "Claims",
    "Denial",
    "HierarchyError",
    "Implication",
    "InvalidClaimsError",
    "Permission",
    "PermissionSet",
    "PermissionSyntaxError",
    "Request",
    "SteadyTime",
    "TokenIssuer",
    "TokenRefusedError",
    "TokenValidator",
    "decode_claims",
    "encode_claims",
    "quote_resource",
    "strict_json",
    "validate_claims",
]

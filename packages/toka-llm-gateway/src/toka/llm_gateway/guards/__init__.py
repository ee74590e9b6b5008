"""Guards: they look at texts on their way to a model and back, and say what becomes of them."""

from toka.llm_gateway.guards._guard import RequestGuard, TextGuard, Verdict, Where
from toka.llm_gateway.guards._guarded import Finding, GuardedModel
from toka.llm_gateway.guards._length import TokenLimit
from toka.llm_gateway.guards._secrets import RedactingFilter, SecretRedactor
from toka.llm_gateway.guards._spotlight import Spotlight

__all__ = [
    "Finding",
    "GuardedModel",
    "RedactingFilter",
    "RequestGuard",
    "SecretRedactor",
    "Spotlight",
    "TextGuard",
    "TokenLimit",
    "Verdict",
    "Where",
]

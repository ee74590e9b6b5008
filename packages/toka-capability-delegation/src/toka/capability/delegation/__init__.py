"""Narrow a capability token offline, hand it on, and check the whole chain."""

from toka.capability.delegation._derivation import DEFAULT_MAX_DEPTH
from toka.capability.delegation._explanation import Explanation, Step
from toka.capability.delegation._narrow import narrow, unsafe_read
from toka.capability.delegation._validator import DelegatedValidator

__all__ = [
    "DEFAULT_MAX_DEPTH",
    "DelegatedValidator",
    "Explanation",
    "Step",
    "narrow",
    "unsafe_read",
]

"""Permissions, and the concrete wishes that they grant.

    permission = domain ":" action ":" resource-pattern      fs:read:/data/**
    request    = domain ":" action ":" resource              fs:read:/data/x.txt
    domain     = lower-case letter, then lower-case letters, digits, "_"
    action     = the same, or in a permission "*" for every action
    resource   = see `_resource.py`; in a pattern, "*" is any text within one segment (also none)
                 and the segment "**" any number of segments (also none)

The grammar is ASCII and nothing is normalised into it, because two letters that look alike must
not be one letter to the one who reads a token and another to the one who checks it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import attrs

from toka.capability.core._errors import PermissionSyntaxError
from toka.capability.core._pattern import Pattern
from toka.capability.core._resource import MAX_PERMISSION_BYTES, split_resource

ANY_ACTION: Final = "*"
"""The action of a permission that grants every action of its domain."""

_WORD: Final = "[a-z][a-z0-9_]*"
_GRAMMAR = re.compile(rf"({_WORD}):({_WORD}|\*):([!-~]+)")


@attrs.frozen(cache_hash=True)
class Request:
    """A concrete wish: one action on one resource, no wildcards.

    Raises:
        PermissionSyntaxError: The text is not a request.
    """

    text: str
    domain: str = attrs.field(init=False, eq=False, repr=False)
    action: str = attrs.field(init=False, eq=False, repr=False)
    resource: str = attrs.field(init=False, eq=False, repr=False)
    segments: tuple[str, ...] = attrs.field(init=False, eq=False, repr=False)
    """The resource's segments, one character for each plain character or escape."""

    def __attrs_post_init__(self) -> None:
        domain, action, resource = _split(self.text)
        if "*" in self.text:
            raise PermissionSyntaxError(
                f"The request {self.text[:80]!r} holds a wildcard.",
                hint="Ask for one thing; a '*' that belongs to a name is written %2A.",
            )
        _fill(self, domain=domain, action=action, resource=resource)
        _fill(self, segments=split_resource(resource))

    @classmethod
    def parse(cls, text: str) -> Request:
        """Read `domain:action:resource`.

        Raises:
            PermissionSyntaxError: The text is not a request.
        """
        return cls(text)

    def __str__(self) -> str:
        return self.text


@attrs.frozen(cache_hash=True)
class Permission:
    """A right: one action, or all, on everything that a resource pattern covers.

    Raises:
        PermissionSyntaxError: The text is not a permission.
    """

    text: str
    domain: str = attrs.field(init=False, eq=False, repr=False)
    action: str = attrs.field(init=False, eq=False, repr=False)
    resource: str = attrs.field(init=False, eq=False, repr=False)
    segments: tuple[str, ...] = attrs.field(init=False, eq=False, repr=False)
    pattern: Pattern = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        domain, action, resource = _split(self.text)
        segments = split_resource(resource)
        _fill(self, domain=domain, action=action, resource=resource)
        _fill(self, segments=segments, pattern=Pattern(resource, segments))

    @staticmethod
    def parse(text: str) -> Permission:
        """Read `domain:action:resource-pattern`.

        Raises:
            PermissionSyntaxError: The text is not a permission.
        """
        return _parse(text)

    def covers(self, item: Request | Permission) -> bool:
        """Say whether this permission grants all that `item` asks for.

        A yes is always right. A no is right for every request; for another permission with
        several wildcards it may be wrong, where deciding would be costly.
        """
        return (
            self.domain == item.domain
            and self.action in (ANY_ACTION, item.action)
            and self.pattern.covers(item.resource, item.segments)
        )

    def __str__(self) -> str:
        return self.text


# Tokens repeat the same few permissions; a permission is immutable, so all may share one.
@lru_cache(maxsize=4_096)
def _parse(text: str) -> Permission:
    return Permission(text)


def _fill(target: Request | Permission, **parts: object) -> None:
    for name, part in parts.items():
        object.__setattr__(target, name, part)


def _split(text: str) -> tuple[str, str, str]:
    if len(text) > MAX_PERMISSION_BYTES:
        raise PermissionSyntaxError(
            f"The permission {text[:40]!r}... has {len(text)} characters.",
            hint=f"A permission has at most {MAX_PERMISSION_BYTES}; end a long path with '/**'.",
        )
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise PermissionSyntaxError(
            f"{text[:80]!r} is not a permission.",
            hint="Write domain:action:resource in ASCII, for example 'fs:read:/data/**'.",
        )
    return match[1], match[2], match[3]

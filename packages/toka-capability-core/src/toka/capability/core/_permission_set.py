"""What a token grants as a whole, answered fast enough to ask before every effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core._hierarchy import NO_IMPLICATIONS, ActionHierarchy
from toka.capability.core._permission import Permission, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_CACHED_ANSWERS: Final = 256
"""Answers kept per set; when they are that many, all are dropped and collecting starts again.

Few, because whoever holds thousands of tokens could fill as many sets with long requests, and
deciding anew takes microseconds.
"""


@attrs.frozen
class PermissionSet:
    """Permissions under one hierarchy of actions. An empty set grants nothing."""

    permissions: tuple[Permission, ...] = ()
    hierarchy: ActionHierarchy = NO_IMPLICATIONS
    _by_domain: dict[str, list[Permission]] = attrs.field(init=False, eq=False, repr=False)
    _answers: dict[str, Permission | None] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        by_domain: dict[str, list[Permission]] = {}
        for permission in self.permissions:
            by_domain.setdefault(permission.domain, []).append(permission)
        object.__setattr__(self, "_by_domain", by_domain)
        object.__setattr__(self, "_answers", {})

    @classmethod
    def parse(
        cls, texts: Iterable[str], hierarchy: ActionHierarchy = NO_IMPLICATIONS
    ) -> PermissionSet:
        """Build from permissions as text.

        Raises:
            PermissionSyntaxError: A text is not a permission.
        """
        return cls(tuple([Permission.parse(text) for text in texts]), hierarchy)

    def covers(self, item: str | Request | Permission) -> Permission | None:
        """Return the first permission that grants `item`, or None.

        Args:
            item: A request, a request as text, or another permission (all that it grants must be
                granted by one permission here).

        Raises:
            PermissionSyntaxError: `item` is text and not a request.
        """
        if isinstance(item, Permission):
            return self._find(item)
        text = item if isinstance(item, str) else item.text
        try:
            return self._answers[text]
        except KeyError:
            return self._answer(Request.parse(item) if isinstance(item, str) else item)

    def covers_all(self, other: PermissionSet) -> bool:
        """Say whether each permission of `other` is granted by one of these; never wrongly yes."""
        return all(self._find(permission) is not None for permission in other.permissions)

    def _answer(self, request: Request) -> Permission | None:
        granted = self._find(request)
        if len(self._answers) >= MAX_CACHED_ANSWERS:
            self._answers.clear()
        self._answers[request.text] = granted
        return granted

    def _find(self, item: Request | Permission) -> Permission | None:
        candidates = self._by_domain.get(item.domain)
        if candidates is None:
            return None
        actions = self.hierarchy.granting(item.domain, item.action)
        resource, segments = item.resource, item.segments
        for permission in candidates:
            if permission.action in actions and permission.pattern.covers(resource, segments):
                return permission
        return None

    def __iter__(self) -> Iterator[Permission]:
        return iter(self.permissions)

    def __len__(self) -> int:
        return len(self.permissions)

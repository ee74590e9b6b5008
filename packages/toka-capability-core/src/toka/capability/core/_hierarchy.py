"""Which actions imply which: `write` grants `read` only where somebody declared it.

A value: adding or removing a rule gives another hierarchy, so an answer never depends on which
rules another thread was changing, and a cache beside a hierarchy cannot go stale.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core._errors import HierarchyError
from toka.capability.core._permission import ANY_ACTION

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD = re.compile(r"[a-z][a-z0-9_]*")


@attrs.frozen
class Implication:
    """In `domain`, whoever may do `stronger` may do `weaker`."""

    domain: str
    stronger: str
    weaker: str

    def __attrs_post_init__(self) -> None:
        for word in (self.domain, self.stronger, self.weaker):
            if not _WORD.fullmatch(word):
                raise HierarchyError(f"{word[:80]!r} names no domain or action.")


@attrs.frozen
class ActionHierarchy:
    """A set of implications between actions, free of cycles, followed transitively."""

    rules: frozenset[Implication] = frozenset()
    _stronger: dict[tuple[str, str], tuple[str, ...]] = attrs.field(
        init=False, eq=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        stronger: dict[tuple[str, str], list[str]] = defaultdict(list)
        for rule in self.rules:
            stronger[rule.domain, rule.weaker].append(rule.stronger)
        table = {key: tuple(sorted(actions)) for key, actions in stronger.items()}
        _refuse_cycle(table)
        object.__setattr__(self, "_stronger", table)

    @classmethod
    def of(cls, rules: Iterable[tuple[str, str, str]]) -> ActionHierarchy:
        """Build from triples of domain, stronger and weaker action.

        Raises:
            HierarchyError: The rules hold a cycle, or a word is not in the grammar.
        """
        return cls(frozenset([Implication(*rule) for rule in rules]))

    def add(self, domain: str, stronger: str, weaker: str) -> ActionHierarchy:
        """Return the hierarchy in which `stronger` implies `weaker` too.

        Raises:
            HierarchyError: That makes a cycle, or a word is not in the grammar.
        """
        return ActionHierarchy(self.rules | {Implication(domain, stronger, weaker)})

    def remove(self, domain: str, stronger: str, weaker: str) -> ActionHierarchy:
        """Return the hierarchy without that rule; what others imply stays."""
        return ActionHierarchy(self.rules - {Implication(domain, stronger, weaker)})

    def granting(self, domain: str, action: str) -> frozenset[str]:
        """Return the actions of which a permission grants `action`: itself, stronger ones, `*`."""
        granting = {action, ANY_ACTION}
        if not self._stronger:
            return frozenset(granting)
        waiting = [action]
        while waiting:
            for stronger in self._stronger.get((domain, waiting.pop()), ()):
                if stronger not in granting:
                    granting.add(stronger)
                    waiting.append(stronger)
        return frozenset(granting)


def _refuse_cycle(stronger: dict[tuple[str, str], tuple[str, ...]]) -> None:
    """Take away, again and again, what nothing is stronger than; what stays is a cycle (Kahn)."""
    missing = {key: len(actions) for key, actions in stronger.items()}
    weaker: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for key, actions in stronger.items():
        for action in actions:
            weaker[key[0], action].append(key)
    free = [key for key in weaker if key not in missing]
    while free:
        for key in weaker.get(free.pop(), ()):
            missing[key] -= 1
            if missing[key] == 0:
                del missing[key]
                free.append(key)
    if missing:
        domain, action = min(missing)
        raise HierarchyError(
            f"In domain {domain!r} the action {action!r} would imply itself.",
            hint="Remove one of the implications on the way round.",
            details={"domain": domain, "actions": sorted(name for _, name in missing)},
        )


NO_IMPLICATIONS: Final = ActionHierarchy()
"""The default: an action grants itself and nothing else."""

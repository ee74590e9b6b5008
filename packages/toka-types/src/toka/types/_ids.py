"""Identifiers: sortable, unguessable enough to never collide, and short as text.

An identifier is a ULID: 48 bits of milliseconds and 80 random bits, written as 26 characters of
Crockford's base 32. Text order is time order, which keeps database indexes append-only.

Agents are named by path instead: the identifier of the run's root agent, then one name per
generation, as in `01JD3X8ZK5Q6T7V8W9XAYBZCDE/inventory`. A pattern over paths is a pattern over
families, and a log is readable without a lookup.
"""

from __future__ import annotations

import re
from typing import NewType

from toka.types._errors import InvalidValueError
from toka.types._limits import MAX_AGENT_DEPTH, MAX_AGENT_NAME_BYTES

EntityId = NewType("EntityId", str)
"""A ULID."""

AgentId = NewType("AgentId", str)
"""The path of an agent: a ULID, then names separated by slashes."""

TaskId = NewType("TaskId", str)
"""An agent's path, a number sign and the ordinal of the task within the agent, from 0."""

EventId = NewType("EventId", str)
"""A ULID that names one event in every copy of a log."""

_ENTROPY_BYTES = 10
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def ulid(milliseconds: int, entropy: bytes) -> str:
    """Write a time and ten random bytes as a ULID.

    Args:
        milliseconds: Since the Unix epoch, at most 48 bits.
        entropy: Ten bytes.

    Raises:
        InvalidValueError: The time or the entropy does not fit.

    """
    if not 0 <= milliseconds < 1 << 48:
        raise InvalidValueError(f"A ULID holds a time of 48 bits, not {milliseconds}.")
    if len(entropy) != _ENTROPY_BYTES:
        raise InvalidValueError(
            f"A ULID takes {_ENTROPY_BYTES} bytes of entropy, not {len(entropy)}."
        )
    number = milliseconds << 80 | int.from_bytes(entropy, "big")
    return "".join([_ALPHABET[number >> shift & 31] for shift in _SHIFTS])


_SHIFTS = tuple(range(125, -1, -5))


def is_entity_id(text: str) -> bool:
    """Say whether `text` is an identifier: a ULID in upper case."""
    return _ULID.fullmatch(text) is not None


def check_entity_id(text: str) -> EntityId:
    """Return `text` as an identifier.

    Raises:
        InvalidValueError: It is not a ULID in upper case.

    """
    if not is_entity_id(text):
        raise InvalidValueError(f"{text[:40]!r} is not an identifier (26 characters, a ULID).")
    return EntityId(text)


def check_agent_name(name: str) -> str:
    """Return `name` if it can name an agent: letters, digits, dot, underscore, hyphen.

    Raises:
        InvalidValueError: It is empty, too long, or holds another character.

    """
    if len(name) > MAX_AGENT_NAME_BYTES or not _NAME.fullmatch(name):
        raise InvalidValueError(
            f"{name[:40]!r} cannot name an agent.",
            hint=(
                "Use letters, digits, '.', '_' and '-', starting with a letter or digit,"
                f" at most {MAX_AGENT_NAME_BYTES} characters."
            ),
        )
    return name


def root_agent(identifier: EntityId) -> AgentId:
    """Return the path of a root agent."""
    return AgentId(identifier)


def child_agent(parent: AgentId, name: str) -> AgentId:
    """Return the path of the agent called `name` below `parent`.

    Raises:
        InvalidValueError: The name is not valid, or the family is deeper than the limit.

    """
    if parent.count("/") + 2 > MAX_AGENT_DEPTH:
        raise InvalidValueError(
            f"Agent {name!r} below {parent!r} would be generation {MAX_AGENT_DEPTH + 1}.",
            hint=f"Families are at most {MAX_AGENT_DEPTH} generations deep.",
        )
    return AgentId(f"{parent}/{check_agent_name(name)}")


def parent_of(agent: AgentId) -> AgentId | None:
    """Return the path of the parent, or None for a root agent."""
    head, slash, _ = agent.rpartition("/")
    return AgentId(head) if slash else None


def root_of(agent: AgentId) -> EntityId:
    """Return the identifier of the run that `agent` belongs to."""
    return EntityId(agent.partition("/")[0])


def agent_name(agent: AgentId) -> str:
    """Return the last name in the path."""
    return agent.rpartition("/")[2]


def task_id(agent: AgentId, ordinal: int) -> TaskId:
    """Return the identifier of an agent's task number `ordinal`."""
    return TaskId(f"{agent}#{ordinal}")


def agent_of(task: TaskId) -> AgentId:
    """Return the path of the agent that a task belongs to."""
    return AgentId(task.rpartition("#")[0])

"""Caveats as members of a JSON object, named as in the claims that they narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.capability.core._caveats import (
    Caveat,
    ExpiresAt,
    Extension,
    MaxBudget,
    MaxDepth,
    MaxRate,
    NotBefore,
    OnlyAudience,
    OnlyDuring,
    OnlyHolder,
    OnlyPermissions,
    OnlyUntainted,
)
from toka.capability.core._denial import Denial
from toka.capability.core._errors import InvalidClaimsError, InvalidWindowError
from toka.capability.core._members import (
    exactly,
    integer,
    malformed,
    obj,
    some_texts,
    text,
    texts,
    values,
)
from toka.capability.core._window import EVERY_DAY, TimeWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from toka.types import Json, JsonObject


def encode_caveats(caveats: Iterable[Caveat]) -> dict[str, Json]:
    """Return the members that say `caveats`.

    Raises:
        InvalidClaimsError: Two of them are of one kind, or two extensions have one name.
    """
    members: dict[str, Json] = {}
    extensions: dict[str, Json] = {}
    for caveat in caveats:
        target = extensions if isinstance(caveat, Extension) else members
        for name, value in _members_of(caveat):
            if name in target:
                raise _twice(name)
            target[name] = value
    if extensions:
        members[Extension.member] = extensions
    return members


def decode_caveats(members: JsonObject) -> tuple[Caveat, ...]:
    """Read caveats.

    Raises:
        TokenRefusedError: A member is not a caveat that is known here, or not of its type.
    """
    caveats: list[Caveat] = []
    for name in members:
        read = _READERS.get(name)
        if read is None:
            denial = Denial(code="capability.unknown_caveat", rule="a caveat is not known")
            raise InvalidClaimsError.of(denial)
        caveats.extend(read(members))
    return tuple(caveats)


def _members_of(caveat: Caveat) -> list[tuple[str, Json]]:  # noqa: C901, PLR0911 - one line a kind
    match caveat:
        case OnlyPermissions(permissions, untainted):
            pairs: list[tuple[str, Json]] = [(caveat.member, permissions)]
            return [*pairs, ("untainted", untainted)] if untainted else pairs
        case OnlyUntainted():
            return [(caveat.member, True)]
        case ExpiresAt(seconds) | NotBefore(seconds):
            return [(caveat.member, seconds)]
        case OnlyDuring(windows):
            return [(caveat.member, encode_windows(windows))]
        case OnlyAudience(audience):
            return [(caveat.member, audience)]
        case MaxDepth(hops):
            return [(caveat.member, hops)]
        case MaxBudget(amounts):
            return [(caveat.member, dict(amounts))]
        case MaxRate():
            return [(caveat.member, encode_rate(caveat))]
        case OnlyHolder(thumbprint):
            return [(caveat.member, {"jkt": thumbprint})]
        case Extension(name, data):
            return [(name, data)]


def encode_windows(windows: tuple[TimeWindow, ...]) -> Json:
    """Return windows as JSON; a window of every day names no days."""
    return [_encode_window(window) for window in windows]


def _encode_window(window: TimeWindow) -> Json:
    members: dict[str, Json] = {"start": window.start, "end": window.end, "zone": window.zone}
    return members if window.days == EVERY_DAY else {**members, "days": window.days}


def encode_rate(rate: MaxRate) -> Json:
    """Return a rate as JSON."""
    return {"calls": rate.calls, "seconds": rate.seconds}


def read_windows(members: JsonObject) -> tuple[TimeWindow, ...]:
    """Read the windows, of which there is at least one."""
    windows = tuple([_window(value) for value in values(members, "windows")])
    if not windows:
        raise malformed("windows is empty")
    return windows


def _window(value: Json) -> TimeWindow:
    named = obj(value, "a window")
    days = EVERY_DAY
    if "days" in named:
        named = exactly(value, "a window", "start", "end", "zone", "days")
        days = tuple([integer({"a day": day}, "a day") for day in values(named, "days")])
    else:
        named = exactly(value, "a window", "start", "end", "zone")
    try:
        return TimeWindow(text(named, "start"), text(named, "end"), text(named, "zone"), days)
    except InvalidWindowError as error:
        raise malformed(f"a window is not in the grammar: {error.message}") from error


def read_budget(members: JsonObject) -> tuple[tuple[str, int], ...]:
    """Read amounts by resource."""
    amounts = obj(members["budget"], "budget")
    return tuple([(name, integer(amounts, name)) for name in sorted(amounts)])


def read_rate(members: JsonObject) -> MaxRate:
    """Read a rate."""
    rate = exactly(members["rate"], "rate", "calls", "seconds")
    return MaxRate(integer(rate, "calls"), integer(rate, "seconds"))


def read_holder(members: JsonObject) -> str:
    """Read the thumbprint of the holder's key."""
    return text(exactly(members["cnf"], "cnf", "jkt"), "jkt")


def read_extensions(members: JsonObject) -> tuple[Extension, ...]:
    """Read extensions, sorted by name."""
    named = obj(members["ext"], "ext")
    return tuple([Extension(name, named[name]) for name in sorted(named)])


def _permissions(members: JsonObject) -> list[Caveat]:
    untainted = some_texts(members, "untainted") if "untainted" in members else ()
    return [OnlyPermissions(texts(members, "permissions"), untainted)]


def _untainted(members: JsonObject) -> list[Caveat]:
    if "permissions" not in members:
        raise malformed("untainted stands without permissions")
    return []


def _only_untainted(members: JsonObject) -> list[Caveat]:
    if members["only_untainted"] is not True:
        raise malformed("only_untainted is not true")
    return [OnlyUntainted()]


_READERS: Final[dict[str, Callable[[JsonObject], Iterable[Caveat]]]] = {
    "permissions": _permissions,
    "untainted": _untainted,
    "only_untainted": _only_untainted,
    "exp": lambda members: [ExpiresAt(integer(members, "exp"))],
    "nbf": lambda members: [NotBefore(integer(members, "nbf"))],
    "windows": lambda members: [OnlyDuring(read_windows(members))],
    "aud": lambda members: [OnlyAudience(some_texts(members, "aud"))],
    "depth": lambda members: [MaxDepth(integer(members, "depth"))],
    "budget": lambda members: [MaxBudget(read_budget(members))],
    "rate": lambda members: [read_rate(members)],
    "cnf": lambda members: [OnlyHolder(read_holder(members))],
    "ext": read_extensions,
}


def _twice(name: str) -> InvalidClaimsError:
    rule = f"{name[:80]!r} is restricted twice in one hop"
    return InvalidClaimsError.of(Denial(code="capability.bad_claims", rule=rule))

"""The ring as a value, and the steps from one ring to the next. No clock, no storage.

    prepared --rotate--> active --rotate--> retiring --grace is over--> retired
       |                    |                   |
       +--------------------+-------taint-------+---------------------> tainted

Invariants: at most one key is active; generations are unique and grow; a key's name is the
thumbprint of its secret; symmetric and asymmetric keys do not mix; a retired or tainted key has no
secret any more, and its name is remembered so that it never returns.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs

from toka.key_rotation._errors import InvalidKeyRingError, NotPublishedYet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.key_rotation._key import KeyAlgorithm, RingKey
    from toka.key_rotation._policy import RotationPolicy

MAX_RETIRED: Final = 1_000
"""Retired keys of which the name is remembered; of tainted ones all are."""


class KeyState(enum.Enum):
    """Where a key is in its life."""

    PREPARED = "prepared"
    """Published, so that verifiers know it before it signs."""
    ACTIVE = "active"
    """Signs."""
    RETIRING = "retiring"
    """Signs no more; what it signed is accepted while the grace lasts."""
    RETIRED = "retired"
    """Verifies no more."""
    TAINTED = "tainted"
    """Somebody else may know it: nothing that it signed is accepted, from that moment on."""


_VERIFYING: Final = frozenset({KeyState.PREPARED, KeyState.ACTIVE, KeyState.RETIRING})


@attrs.frozen
class KeyRecord:
    """One key of a ring. Times are seconds since the Unix epoch."""

    kid: str
    kind: KeyAlgorithm
    generation: int
    state: KeyState
    prepared_at: int
    key: RingKey | None
    """None once the key is retired or tainted: the secret is gone."""
    activated_at: int | None = None
    retires_at: int | None = None
    """When a retiring key stops to verify."""
    ended_at: int | None = None
    """When it was retired or tainted."""

    @property
    def verifies(self) -> bool:
        """Whether what it signed is accepted."""
        return self.state in _VERIFYING


@attrs.frozen
class RingState:
    """All keys of a ring, by generation."""

    records: tuple[KeyRecord, ...] = ()
    version: int = 0
    """Grows with every change."""
    floor: int = 0
    """Generations below this do not verify, whatever their state was."""
    latest: int = 0
    """The latest time that any step was taken; time goes on from here, never back."""

    def __attrs_post_init__(self) -> None:
        generations = [record.generation for record in self.records]
        if generations != sorted(set(generations)):
            raise InvalidKeyRingError("Two keys of a ring have one generation.")
        if len({record.kid for record in self.records}) != len(self.records):
            raise InvalidKeyRingError("Two keys of a ring have one name.")
        for state in (KeyState.ACTIVE, KeyState.PREPARED):
            if sum(record.state is state for record in self.records) > 1:
                raise InvalidKeyRingError(f"Two keys of a ring are {state.value}.")
        if len({record.kind.is_symmetric for record in self.records if record.verifies}) > 1:
            raise InvalidKeyRingError("A ring mixes keys that are published and keys that are not.")
        for record in self.records:
            _check_record(record)

    @property
    def active(self) -> KeyRecord | None:
        """The key that signs."""
        return self._only(KeyState.ACTIVE)

    @property
    def prepared(self) -> KeyRecord | None:
        """The key that will sign next."""
        return self._only(KeyState.PREPARED)

    @property
    def generation(self) -> int:
        """The highest generation so far."""
        return self.records[-1].generation if self.records else 0

    def find(self, kid: str) -> KeyRecord | None:
        """Return a key by its name, whatever its state."""
        return next((record for record in self.records if record.kid == kid), None)

    def _only(self, state: KeyState) -> KeyRecord | None:
        return next((record for record in self.records if record.state is state), None)


def begin(policy: RotationPolicy, keys: tuple[RingKey, RingKey], now: int) -> RingState:
    """Return a new ring: its first key signs at once, for nobody knows an older one."""
    first, second = keys
    records = (
        attrs.evolve(_new(first, 1, now), state=KeyState.ACTIVE, activated_at=now),
        _new(second, 2, now),
    )
    if {key.kind for key in keys} != {policy.algorithm}:
        raise InvalidKeyRingError("A new ring holds keys of its policy's algorithm.")
    return RingState(records, 1, 0, now)


def rotate(
    state: RingState, policy: RotationPolicy, fresh: RingKey, now: int, *, emergency: bool = False
) -> RingState:
    """Let the prepared key sign and prepare a fresh one.

    Args:
        state: The ring.
        policy: Says how long the old key still verifies.
        fresh: The key to prepare.
        now: Seconds since the Unix epoch.
        emergency: Do not wait until the prepared key is known everywhere.

    Raises:
        NotPublishedYet: Verifiers may not know the prepared key.
        InvalidKeyRingError: The fresh key is in the ring already, or does not fit it.
    """
    now = max(now, state.latest)
    following = state.prepared
    if following is None:
        raise InvalidKeyRingError("The ring has no prepared key.")
    known_at = following.prepared_at + policy.publication
    if now < known_at and not emergency:
        raise NotPublishedYet(
            f"The next key is known to everybody in {known_at - now} seconds.",
            hint="Wait, or rotate as an emergency: verifiers that are behind then refuse.",
        )
    records: list[KeyRecord] = []
    for record in state.records:
        if record.state is KeyState.ACTIVE:
            until = now + policy.grace
            records.append(attrs.evolve(record, state=KeyState.RETIRING, retires_at=until))
        elif record is following:
            records.append(attrs.evolve(record, state=KeyState.ACTIVE, activated_at=now))
        else:
            records.append(record)
    return _next(state, [*records, _new(fresh, state.generation + 1, now)], now)


def retire(state: RingState, now: int) -> RingState:
    """End the keys whose grace is over; the same ring if there is none."""
    now = max(now, state.latest)
    records = [
        _ended(record, KeyState.RETIRED, now)
        if record.retires_at is not None and record.verifies and record.retires_at <= now
        else record
        for record in state.records
    ]
    return state if records == list(state.records) else _next(state, records, now)


def taint(
    state: RingState, policy: RotationPolicy, kid: str, fresh: RingKey, now: int
) -> RingState:
    """End a key at once, grace or not. If it signed, the prepared one signs from now on.

    Raises:
        InvalidKeyRingError: No such key is in the ring.
    """
    now = max(now, state.latest)
    record = state.find(kid)
    if record is None:
        raise InvalidKeyRingError("There is no key of that name in the ring.")
    if record.state is KeyState.TAINTED:
        return state
    signed, next_up = record.state is KeyState.ACTIVE, record.state is KeyState.PREPARED
    if signed:
        state = rotate(state, policy, fresh, now, emergency=True)
    records = [
        _ended(each, KeyState.TAINTED, now) if each.kid == kid else each for each in state.records
    ]
    if next_up:
        records.append(_new(fresh, state.generation + 1, now))
    return _next(state, records, now)


def raise_floor(state: RingState, generation: int, now: int) -> RingState:
    """Refuse all generations below one, at once.

    Raises:
        InvalidKeyRingError: The key that signs would be refused.
    """
    now = max(now, state.latest)
    if state.active is None or generation > state.active.generation:
        raise InvalidKeyRingError("The floor may not lie above the key that signs.")
    if generation <= state.floor:
        return state
    records = [
        _ended(record, KeyState.RETIRED, now)
        if record.generation < generation and record.verifies
        else record
        for record in state.records
    ]
    return attrs.evolve(_next(state, records, now), floor=generation)


def _new(key: RingKey, generation: int, now: int) -> KeyRecord:
    return KeyRecord(key.kid, key.kind, generation, KeyState.PREPARED, now, key)


def _ended(record: KeyRecord, state: KeyState, now: int) -> KeyRecord:
    return attrs.evolve(record, state=state, key=None, ended_at=now)


def _next(state: RingState, records: Iterable[KeyRecord], now: int) -> RingState:
    records = list(records)
    retired = [record for record in records if record.state is KeyState.RETIRED]
    forgotten = {record.kid for record in retired[: max(0, len(retired) - MAX_RETIRED)]}
    kept = tuple([record for record in records if record.kid not in forgotten])
    return RingState(kept, state.version + 1, state.floor, now)


def _check_record(record: KeyRecord) -> None:
    if (record.key is not None) != record.verifies:
        raise InvalidKeyRingError("A key that verifies lacks its secret, or another has one.")
    if record.key is not None and (record.key.kid, record.key.kind) != (record.kid, record.kind):
        raise InvalidKeyRingError("A key's name is not the thumbprint of its secret.")
    if record.state is KeyState.ACTIVE and record.activated_at is None:
        raise InvalidKeyRingError("An active key was never activated.")
    if record.state is KeyState.RETIRING and record.retires_at is None:
        raise InvalidKeyRingError("A retiring key never retires.")

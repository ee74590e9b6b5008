"""The ring in use: steps are taken in the store first, then here, then told to the audit.

Every process looks from time to time whether another one changed the store, so that a key which was
tainted anywhere stops to verify everywhere within that time. Where the store cannot be read any
more, what is known serves for a bounded time and then nothing does.
"""

from __future__ import annotations

import logging
import secrets
import threading
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from toka.key_rotation._audit import AuditEvent, AuditKind
from toka.key_rotation._errors import (
    InvalidKeyRingError,
    KeyRotationError,
    KeyStoreError,
    NoSigningKey,
)
from toka.key_rotation._key import RingKey
from toka.key_rotation._state import KeyState, RingState, begin, raise_floor, retire, rotate, taint
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from toka.key_rotation._audit import Audit
    from toka.key_rotation._policy import RotationPolicy
    from toka.key_rotation._state import KeyRecord
    from toka.key_rotation._store import KeyStore
    from toka.types import Clock

LOOK_SECONDS: Final = 1
STALE_SECONDS: Final = 300
_OVERDUE_INTERVALS: Final = 2

_log = logging.getLogger("toka.key_rotation")


class KeyRing:
    """Keys of one issuer. Safe to use from several threads."""

    __slots__ = (
        "_audit",
        "_clock",
        "_lock",
        "_looked_at",
        "_mark",
        "_policy",
        "_read_at",
        "_state",
        "_store",
    )

    def __init__(
        self, store: KeyStore, policy: RotationPolicy, clock: Clock, *, audit: Audit | None = None
    ) -> None:
        """Open the ring that a store keeps.

        Args:
            store: Where the ring is kept.
            policy: How keys rotate.
            clock: Tells the time.
            audit: Is told of every step after it was taken. Whatever it raises reaches the caller
                of the step, which stays taken. Events are logged if left out.

        Raises:
            KeyStoreMissing: There is no ring; make one with `create`.
            KeyStoreError: The store cannot be used. No new ring is made in its place.
        """
        self._store = store
        self._policy = policy
        self._clock = clock
        self._audit = audit if audit is not None else _log_event
        self._lock = threading.RLock()
        self._mark: object = object()  # Equal to no store's.
        self._looked_at = self._read_at = clock.monotonic()
        self._state = RingState()
        self._reload()

    @classmethod
    def create(
        cls, store: KeyStore, policy: RotationPolicy, clock: Clock, *, audit: Audit | None = None
    ) -> Self:
        """Make a ring with a key that signs and one prepared, or open the one that is there.

        Raises:
            KeyStoreError: The store cannot be used.
        """
        keys = RingKey.generate(policy.algorithm), RingKey.generate(policy.algorithm)
        state = begin(policy, keys, clock.now() // NANOSECONDS)
        made = store.create(state)
        ring = cls(store, policy, clock, audit=audit)
        if made:
            for record in state.records:
                ring.tell(AuditKind.KEY_GENERATED, record)
        return ring

    @property
    def policy(self) -> RotationPolicy:
        """How keys rotate."""
        return self._policy

    @property
    def state(self) -> RingState:
        """The ring as it is known here now.

        Raises:
            KeyStoreError: The store could not be read for too long.
        """
        self._look()
        return self._state

    def signing_key(self) -> RingKey:
        """Return the key that signs now.

        Raises:
            NoSigningKey: It should have been replaced long ago, so rotation does not run.
            KeyStoreError: The store could not be read for too long.
        """
        active = self.state.active
        if active is None or active.key is None or active.activated_at is None:
            raise NoSigningKey("The ring has no active key.")
        if self._now() >= active.activated_at + _OVERDUE_INTERVALS * self._policy.interval:
            raise NoSigningKey(
                f"The key of generation {active.generation} signed for too long.",
                hint="Run the rotation, as a task or as a command.",
            )
        return active.key

    def verification_keys(self) -> tuple[RingKey, ...]:
        """Return the keys of which tokens are accepted now, those included that will sign next.

        Raises:
            KeyStoreError: The store could not be read for too long.
        """
        state = self.state
        now = max(self._now(), state.latest)
        return tuple(
            [record.key for record in state.records if record.key and _serves(record, now)]
        )

    def find(self, kid: str) -> KeyRecord | None:
        """Return what is known of a key, whatever its state.

        Raises:
            KeyStoreError: The store could not be read for too long.
        """
        return self.state.find(kid)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as a JWK set (RFC 7517); a symmetric key is never in it.

        Raises:
            KeyStoreError: The store could not be read for too long.
        """
        keys = [(key, key.public_jwk()) for key in self.verification_keys()]
        return {
            "keys": [
                {**jwk, "alg": key.algorithm, "kid": key.kid, "use": "sig"}
                for key, jwk in keys
                if jwk is not None
            ]
        }

    def rotate(self, *, emergency: bool = False) -> RingState:
        """Let the prepared key sign, and prepare another.

        Of many that rotate at once one does; the others get what it made.

        Args:
            emergency: Do not wait until the prepared key is known everywhere.

        Raises:
            NotPublishedYet: Verifiers may not know the prepared key.
            KeyStoreError: The store cannot be used; nothing was changed.
        """
        seen = self._state.generation

        def step(state: RingState) -> RingState:
            if state.generation > seen:
                return state  # Somebody else was first.
            fresh = RingKey.generate(self._policy.algorithm)
            return rotate(state, self._policy, fresh, self._now(), emergency=emergency)

        return self._change(step)

    def maintain(self) -> RingState:
        """Do what is due: rotate when the interval is over, and retire keys out of grace.

        Raises:
            KeyStoreError: The store cannot be used; nothing was changed.
        """
        return self._change(self._due)

    def taint(self, kid: str) -> RingState:
        """End a key at once because somebody else may know it; if it signed, the next one does.

        Raises:
            InvalidKeyRingError: There is no key of that name.
            KeyStoreError: The store cannot be used; nothing was changed.
        """
        fresh = RingKey.generate(self._policy.algorithm)
        return self._change(lambda state: taint(state, self._policy, kid, fresh, self._now()))

    def raise_floor(self, generation: int) -> RingState:
        """Refuse all generations below one, at once and for ever.

        Raises:
            InvalidKeyRingError: The key that signs would be refused.
            KeyStoreError: The store cannot be used; nothing was changed.
        """
        return self._change(lambda state: raise_floor(state, generation, self._now()))

    def refresh(self) -> bool:
        """Look at the store now, at most once a second, and say whether the ring changed.

        For whoever meets a key that is not known here. A flood of those costs one look a second.

        Raises:
            KeyStoreError: The store could not be read for too long.
        """
        version = self._state.version
        self._look()
        return self._state.version != version

    async def run(self) -> None:
        """Look after the ring until cancelled. Run it as a task of a task group.

        A failure is told to the audit and tried again.
        """
        while True:
            try:
                await anyio.to_thread.run_sync(self.maintain)
            except KeyRotationError as error:
                self.tell(AuditKind.ROTATION_FAILED, reason=error.message)
            await self._clock.sleep(self._pause() * NANOSECONDS)

    def tell(self, kind: AuditKind, record: KeyRecord | None = None, *, reason: str = "") -> None:
        """Tell the audit of something that happened to a key, or because of one."""
        kids = () if record is None else (record.kid,)
        generation = None if record is None else record.generation
        self._audit(AuditEvent(kind, self._now(), kids, generation, reason=reason))

    def _due(self, state: RingState) -> RingState:
        now = max(self._now(), state.latest)
        active, following = state.active, state.prepared
        if active is None or following is None or active.activated_at is None:
            raise InvalidKeyRingError("The ring has no active key, or none prepared.")
        known = now >= following.prepared_at + self._policy.publication
        if now >= active.activated_at + self._policy.interval and known:
            fresh = RingKey.generate(self._policy.algorithm)
            state = rotate(state, self._policy, fresh, now)
        return retire(state, now)

    def _pause(self) -> int:
        """Return when to look again: often enough, and not when all the others do."""
        spread = secrets.randbelow(self._policy.jitter + 1)
        return max(1, self._policy.interval // 20) + spread

    def _change(self, step: Callable[[RingState], RingState]) -> RingState:
        before: list[RingState] = []

        def change(state: RingState) -> RingState:
            before.append(state)
            return step(state)

        after = self._store.update(change)
        with self._lock:
            # Another thread may have seen a still newer one meanwhile.
            if after.version >= self._state.version:
                self._state = after
                self._read_at = self._clock.monotonic()
        for event in _events(before[0], after, self._now()):
            self._audit(event)
        return after

    def _look(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK_SECONDS * NANOSECONDS:
            self._look_once(now)
        if now - self._read_at > STALE_SECONDS * NANOSECONDS:
            raise KeyStoreError(
                f"The key ring could not be read for over {STALE_SECONDS} seconds.",
                hint="What is known of it may be out of date, and a key may have been tainted.",
            )

    def _look_once(self, now: int) -> None:
        with self._lock:
            if now - self._looked_at < LOOK_SECONDS * NANOSECONDS:
                return  # Another thread looked while this one waited for the lock.
            try:
                self._reload()
            except KeyStoreError as error:
                _log.warning("the key ring cannot be read: %s", error)
            self._looked_at = now

    def _reload(self) -> None:
        # The mark first: a change after it is seen at the next look, never missed.
        mark = self._store.mark()
        state = self._state if mark == self._mark else self._store.load()
        with self._lock:
            self._mark = mark
            self._read_at = self._clock.monotonic()
            if state.version >= self._state.version:
                self._state = state

    def _now(self) -> int:
        return self._clock.now() // NANOSECONDS


def _serves(record: KeyRecord, now: int) -> bool:
    """Whether a key verifies: out of grace it does not, also before anybody retired it."""
    return record.verifies and (record.retires_at is None or now < record.retires_at)


def _events(before: RingState, after: RingState, now: int) -> list[AuditEvent]:
    old = {record.kid: record for record in before.records}
    events = [
        AuditEvent(AuditKind.KEY_GENERATED, now, (record.kid,), record.generation)
        for record in after.records
        if record.kid not in old
    ]
    if before.active and after.active and before.active.kid != after.active.kid:
        kids = (before.active.kid, after.active.kid)
        generations = (after.active.generation, before.active.generation)
        events.append(AuditEvent(AuditKind.KEY_ROTATED, now, kids, *generations))
    for state, kind in (
        (KeyState.RETIRED, AuditKind.KEYS_CLEANED_UP),
        (KeyState.TAINTED, AuditKind.SECURITY_ALERT),
    ):
        ended = [r.kid for r in after.records if r.state is state and old[r.kid].state is not state]
        if ended:
            events.append(AuditEvent(kind, now, tuple(ended), reason=state.value))
    return events


def _log_event(event: AuditEvent) -> None:
    _log.info(
        "%s: generation %s, keys %s %s",
        event.kind.value,
        event.generation,
        event.kids,
        event.reason,
    )

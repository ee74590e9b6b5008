"""A guest that decides a family of operations of a kernel.

It has the shape of the kernel's `ExtensionHandler`, without importing the kernel: the classes of
facts and rejections are handed in. The module exports two functions without parameters:

- `decide` reads a question as JSON (`Question`) and writes an answer (`{"facts": [...]}` or
  `{"refusal": {...}}`); it looks the family's state up with `kv_get`, and cannot change it.
- `evolve` reads one fact (`{"name": ..., "data": ...}`) and changes the state with `kv_put` and
  `kv_delete`, each value JSON.

A fact is only decided if `evolve` takes it: what is on record can be replayed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import msgspec

from toka.cvm._errors import CvmError, GuestRuleError
from toka.cvm._services import AnswersAtOnce
from toka.types import TokaError, canonical

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from toka.capability.core import Claims
    from toka.cvm._pure_guest import PureGuest
    from toka.types import Extension

Fact_co = TypeVar("Fact_co", covariant=True)
Rejection_co = TypeVar("Rejection_co", covariant=True)
SlotType = TypeVar("SlotType", bound="Slot")

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST_FACTS: Final = 64
_LONGEST_MESSAGE: Final = 500
_NULL: Final = msgspec.Raw(b"null")
_JSON: Final = msgspec.json.Encoder(order="sorted")


class Slot(Protocol):
    """The state of a family: a map that gives a new one for every change."""

    def get(self, key: str, /) -> msgspec.Raw | None:
        """Return a value, or None."""
        ...

    def insert(self, key: str, value: msgspec.Raw, /) -> Self:
        """Return the map with a value."""
        ...

    def discard(self, key: str, /) -> Self:
        """Return the map without a value, whether it was there or not."""
        ...


class FactLike(Protocol):
    """What a kernel's fact looks like."""

    @property
    def name(self) -> str:
        """Its dotted name."""
        ...

    @property
    def data(self) -> msgspec.Raw:
        """JSON."""
        ...


class IdSource(Protocol):
    """Where a fresh identifier comes from."""

    def entity(self) -> str:
        """Return one."""
        ...


class Question(msgspec.Struct, frozen=True):
    """What `decide` reads."""

    opcode: str
    target: str
    data: msgspec.Raw
    subject: str
    vault: str
    now: int
    """Nanoseconds since the Unix epoch."""
    id: str
    """A fresh identifier, for whatever the operation makes."""


class _Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    data: msgspec.Raw = _NULL


class _Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str
    message: str = ""


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    facts: tuple[_Fact, ...] | None = None
    refusal: _Refusal | None = None


class GuestHandler(Generic[Fact_co, Rejection_co]):
    """Decides and applies the operations of one family, in a guest.

    Register it with `ExtensionRegistry.register(prefix, handler)`. The module is part of the rules:
    a log that was written under one is replayed under the same one.

    Args:
        guest: Exports `decide` and `evolve`.
        fact: Makes a fact of a name and JSON: `toka.kernel.ExtensionFact`.
        rejection: Makes a rejection of a code and a sentence: `toka.kernel.Rejection`.

    Raises:
        GuestRuleError: The module does not export both.
    """

    def __init__(
        self,
        guest: PureGuest,
        fact: Callable[[str, msgspec.Raw], Fact_co],
        rejection: Callable[[str, str], Rejection_co],
    ) -> None:
        missing = {"decide", "evolve"} - set(guest.exports)
        if missing:
            raise GuestRuleError(f"The guest exports no function {' and no '.join(missing)}.")
        self._guest, self._fact, self._rejection = guest, fact, rejection

    def decide(
        self, slot: Slot, operation: Extension, claims: Claims, now: int, ids: IdSource, /
    ) -> tuple[Fact_co, ...] | Rejection_co:
        """Return what happens, or why not. Whatever ends the guest is a refusal."""
        question = Question(
            operation.opcode,
            operation.target,
            operation.data,
            claims.subject,
            claims.vault,
            now,
            ids.entity(),
        )
        try:
            said = self._guest.ask(
                "decide", msgspec.json.encode(question), key_value=SlotValues(slot)
            )
            answer = _answer(said.output)
            if answer.refusal is not None:
                return self._refused(answer.refusal)
            facts = [_Fact(one.name, _canonical(one.data)) for one in answer.facts or ()]
            for one in facts:
                slot = self.evolve(slot, one)
        except CvmError as error:
            return self._rejection(error.code, error.message)
        return tuple([self._fact(one.name, one.data) for one in facts])

    def evolve(self, slot: SlotType, fact: FactLike, /) -> SlotType:
        """Return the family's state after a fact.

        Raises:
            GuestRuleError: The guest ended instead of applying it.
        """
        values = SlotValues(slot)
        question = msgspec.json.encode(_Fact(fact.name, fact.data))
        try:
            self._guest.ask("evolve", question, key_value=values, writes=True)
        except CvmError as error:
            raise GuestRuleError(
                f"The guest did not apply {fact.name[:80]!r}: {error.message}",
                details={"fact": fact.name[:256], "code": error.code, **error.details},
            ) from error
        return values.slot

    def _refused(self, refusal: _Refusal) -> Rejection_co:
        if not _CODE.fullmatch(refusal.code):
            raise GuestRuleError("The guest refused with a code that is none.")
        text = "".join([one for one in refusal.message if one.isprintable()])[:_LONGEST_MESSAGE]
        return self._rejection(f"guest.{refusal.code}", text or "The guest refused.")


def _answer(output: bytes) -> _Answer:
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise GuestRuleError("The guest's answer is no JSON of facts or of a refusal.") from error
    if (answer.facts is None) == (answer.refusal is None):
        raise GuestRuleError("The guest's answer holds facts or a refusal, and one of them.")
    if len(answer.facts or ()) > _MOST_FACTS:
        raise GuestRuleError(f"The guest decided over {_MOST_FACTS} facts at once.")
    return answer


def _canonical(data: bytes | msgspec.Raw) -> msgspec.Raw:
    """Return JSON in the one spelling that is kept: sorted, without floats, in normal form."""
    try:
        value: object = msgspec.json.decode(data)
        canonical(value)
        return msgspec.Raw(_JSON.encode(value))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, TokaError) as error:
        raise GuestRuleError("The guest wrote a value that is not kept as JSON.") from error


class SlotValues(AnswersAtOnce, Generic[SlotType]):
    """A family's state as the keys and values of a guest."""

    def __init__(self, slot: SlotType) -> None:
        self.slot = slot

    def get(self, key: str, /) -> bytes | None:
        """Return a value as JSON, or None."""
        value = self.slot.get(key)
        return None if value is None else bytes(value)

    def put(self, key: str, value: bytes, /) -> None:
        """Keep a value.

        Raises:
            OSError: It is not JSON that can be kept.
        """
        try:
            self.slot = self.slot.insert(key, _canonical(value))
        except GuestRuleError as error:
            raise OSError(str(error)) from error

    def delete(self, key: str, /) -> None:
        """Forget a value."""
        self.slot = self.slot.discard(key)

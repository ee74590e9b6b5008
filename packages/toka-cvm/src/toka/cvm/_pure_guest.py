"""A guest as a function: bytes in, bytes out, and the same ones every time, on any day.

What ends a question early is fuel, which is counted, and never the clock: so an answer that was
given once is given again when a log is replayed on a slower machine. The deadline is only there to
end what fuel has no hold of, a fault of the host.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import attrs

from toka.cvm._authority import Authority
from toka.cvm._errors import CvmError, GuestTrapError
from toka.cvm._limits import Limits
from toka.cvm._machine import Machine
from toka.cvm._services import MemoryKeyValue, Services

if TYPE_CHECKING:
    from toka.cvm._services import KeyValue

PURE_FUEL: Final = 10_000_000
_DEADLINE_SECONDS: Final = 60.0
_MIB: Final = 1024 * 1024
_READER: Final = "_initialize"
_MAY: Final = ("kv:read:**", "kv:write:**", "clock:read:**", "random:read:**")


@attrs.frozen
class PureAnswer:
    """What a guest said to a question."""

    output: bytes
    fuel_used: int


class PureGuest:
    """A module whose exports are functions of what they are asked, and of nothing else.

    Each question is a fresh guest on a deterministic machine. Its clock counts questions and its
    random bytes come from what it is asked; there is no network, no file and no log.

    Args:
        wasm: The module. An export `_initialize` runs before each question, as in a WASI reactor.
        fuel: Of each question.
        memory_bytes: Of each question.
        machine: A deterministic one; of its own by default.

    Raises:
        InvalidModuleError: The bytes are refused.
        ImportRefusedError: It imports what is not a function of what it is asked.
        CvmError: The machine is not deterministic, or compiling took too much.
    """

    def __init__(
        self,
        wasm: bytes,
        *,
        fuel: int = PURE_FUEL,
        memory_bytes: int = 16 * _MIB,
        machine: Machine | None = None,
    ) -> None:
        self._machine = Machine(deterministic=True) if machine is None else machine
        if not self._machine.deterministic:
            raise CvmError(
                "A function needs Machine(deterministic=True).", code="cvm.not_deterministic"
            )
        self._limits = Limits(
            fuel=fuel, memory_bytes=memory_bytes, deadline_seconds=_DEADLINE_SECONDS
        )
        self._module = self._machine.compile(wasm)
        self._machine.require(self._module, _authority(writes=True), _NO_KEYS)

    @property
    def digest(self) -> str:
        """BLAKE2b of the module: two with the same give the same answers."""
        return self._module.digest

    @property
    def exports(self) -> tuple[str, ...]:
        """What can be asked."""
        return self._module.exports

    def ask(
        self,
        export: str,
        question: bytes,
        *,
        key_value: KeyValue | None = None,
        writes: bool = False,
    ) -> PureAnswer:
        """Run an export on a question, its standard input, and return its standard output.

        Args:
            export: A function without parameters.
            question: What it reads.
            key_value: What it may look up besides. It is part of the question.
            writes: Whether it may change that; otherwise changing is denied.

        Raises:
            GuestCallError: There is no such export, or it takes parameters.
            GuestEndedError: The guest ended otherwise than by coming to its end with status 0.
        """
        guest = self._machine.instantiate(
            self._module,
            _authority(writes=writes),
            limits=self._limits,
            services=_NO_KEYS if key_value is None else Services(key_value=key_value),
            seed=blake2b(question, digest_size=32).digest(),
        )
        with guest:
            used = guest.fuel_used
            if _READER in self._module.exports:
                guest.call(_READER)
                used += guest.fuel_used
            outcome = guest.run(data=question, export=export)
        if outcome.status:
            raise GuestTrapError.of(f"status_{outcome.status}")
        return PureAnswer(outcome.output, used + outcome.fuel_used)


_NO_KEYS: Final = Services(key_value=MemoryKeyValue(0))


def _authority(*, writes: bool) -> Authority:
    parsed = Authority.parse(*_MAY)
    if writes:
        return parsed
    return attrs.evolve(parsed, agrees=_only_looks)


def _only_looks(wish: str) -> bool:
    return not wish.startswith("kv:write:")

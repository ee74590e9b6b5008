"""Which components may be made guests of, and what of their imports is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.cvm._errors import RefusedImport
from toka.cvm.components._host import HostFunction, Interface, plain_name
from toka.cvm.components._toka import CALLS
from toka.cvm.components._wasi_cli import PROGRAM
from toka.cvm.components._wasi_directories import FILES
from toka.cvm.components._wasi_files import PREOPENS
from toka.cvm.components._wasi_io import ERROR, POLL, STREAMS

if TYPE_CHECKING:
    from toka.cvm._authority import Authority
    from toka.cvm._services import Services
    from toka.cvm.components._describe import Described, WantedFunction
    from toka.cvm.components._native import LinkedComponent

INTERFACES: Final[tuple[Interface, ...]] = (
    *(CALLS, ERROR, POLL, STREAMS, *PROGRAM, FILES, PREOPENS),
)
FUNCTIONS: Final[tuple[HostFunction, ...]] = tuple(
    [one for interface in INTERFACES for one in interface.functions]
)
_BY_NAME: Final = {(one.interface, one.name): one for one in FUNCTIONS}
# By name alone: an interface repeats the resources of others that it uses.
_RESOURCES: Final = {name for interface in INTERFACES for name in interface.resources}
_NAMES: Final = {interface.name for interface in INTERFACES}


@attrs.frozen(eq=False)
class GuestComponent:
    """A compiled component, ready for any number of guests."""

    digest: str
    """BLAKE2b of its bytes."""
    found: Described = attrs.field(repr=False)
    linked: LinkedComponent | None = attrs.field(repr=False)
    """None where an import is none that the machine knows: then no guest can be made of it."""

    @property
    def imports(self) -> tuple[str, ...]:
        """The functions that it asks for, as `INTERFACE#NAME`."""
        return tuple([f"{one.interface}#{one.name}" for one in self.found.functions])

    @property
    def exports(self) -> tuple[str, ...]:
        """The functions that can be called; of one in an instance, `INSTANCE#NAME`."""
        return tuple([name for name, kind in self.found.exports.items() if kind is not None])


def is_known(found: Described) -> bool:
    """Say whether the machine has everything that a component asks for."""
    return all(_mismatch(one) is None for one in found.functions) and not _strange(found)


def refusals(
    found: Described, authority: Authority, services: Services, *, deterministic: bool
) -> tuple[RefusedImport, ...]:
    """Say what would not be linked, and which grants are missing."""
    refused = [_refusal(one, authority, services, deterministic) for one in found.functions]
    return (*[one for one in refused if one is not None], *_strange(found))


def _strange(found: Described) -> list[RefusedImport]:
    return [
        RefusedImport(interface, name, "", "is no resource of the host")
        for interface, name in found.resources
        if name not in _RESOURCES or plain_name(interface) not in _NAMES
    ]


def _mismatch(wanted: WantedFunction) -> str | None:
    function = _BY_NAME.get((plain_name(wanted.interface), wanted.name))
    if function is None:
        return "is no host function"
    if wanted.signature != function.signature:
        return f"has another signature, {function.signature}"
    return None


def _refusal(
    wanted: WantedFunction, authority: Authority, services: Services, deterministic: bool
) -> RefusedImport | None:
    why = _mismatch(wanted)
    if why is not None:
        return RefusedImport(wanted.interface, wanted.name, "", why)
    function = _BY_NAME[plain_name(wanted.interface), wanted.name]
    if deterministic and not function.deterministic:
        return RefusedImport(wanted.interface, wanted.name, "", "is not deterministic")
    grant = function.grant
    if grant is None:
        return None
    if not grant.is_served_by(services):
        why = f"has no service behind it (Services.{grant.service})"
        return RefusedImport(wanted.interface, wanted.name, "", why)
    if authority.allows_some(grant.domain, grant.actions):
        return None
    return RefusedImport(wanted.interface, wanted.name, grant.example, "is not granted")

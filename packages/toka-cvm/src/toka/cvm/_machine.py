"""The machine: compiles modules, and makes guests of them whose imports are what is granted."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import attrs

from toka.cvm._authority import NOTHING_GRANTED, Authority
from toka.cvm._compile import Compiler
from toka.cvm._errors import CvmError, ImportRefusedError, RefusedImport
from toka.cvm._guest import Guest
from toka.cvm._limits import Limits, ModuleLimits
from toka.cvm._native import Linked
from toka.cvm._services import Services
from toka.cvm._session import Session
from toka.cvm._ticker import Ticker
from toka.cvm._toka_calls import TABLE as TOKA
from toka.cvm._wasi_paths import PREVIEW1
from toka.cvm._wasmtime import Import, imports_of
from toka.cvm.components._component import FUNCTIONS, GuestComponent, is_known, refusals
from toka.cvm.components._describe import described
from toka.cvm.components._guest import ComponentGuest
from toka.cvm.components._native import LinkedComponent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import wasmtime

    from toka.cvm._cache import ModuleCache
    from toka.cvm._host_function import Body, HostFunction

_FUNCTIONS: Final[tuple[HostFunction, ...]] = (*TOKA.functions, *PREVIEW1.functions)
_BY_NAME: Final = {(one.signature.module, one.signature.name): one for one in _FUNCTIONS}
_SIGNATURES: Final = tuple([one.signature for one in _FUNCTIONS])
_BODIES: Final = tuple([one.body for one in _FUNCTIONS])
_USUAL_LIMITS: Final = Limits()
_NO_SERVICES: Final = Services()
STACK_BYTES: Final = 512 * 1024


@attrs.frozen(eq=False)
class GuestModule:
    """A compiled module, ready for any number of guests."""

    digest: str
    """BLAKE2b of its bytes."""
    imports: tuple[Import, ...]
    linked: Linked | None = attrs.field(repr=False)
    """None where an import is none that the machine knows: then no guest can be made of it."""

    @property
    def exports(self) -> tuple[str, ...]:
        """The functions that can be called."""
        return tuple(self.linked.exports) if self.linked is not None else ()


class Machine:
    """Compiles modules and makes guests. May be used from many threads.

    Args:
        module_limits: What a module may hold, and what compiling may cost.
        cache: Where compiled modules are kept between processes.
        deterministic: Whether the same module, input and seed give the same output, fuel and
            trap. Guests then have a made-up clock and random bytes from their seed, and no HTTP.
        stack_bytes: The stack of a guest. It is taken from the thread that calls it.
    """

    def __init__(
        self,
        module_limits: ModuleLimits | None = None,
        *,
        cache: ModuleCache | None = None,
        deterministic: bool = False,
        stack_bytes: int = STACK_BYTES,
    ) -> None:
        limits = module_limits or ModuleLimits()
        self._compiler = Compiler(limits, cache, stack_bytes, deterministic)
        self._ticker = Ticker(self._compiler.engine)
        self.deterministic = deterministic

    def compile(self, wasm: bytes) -> GuestModule:
        """Compile a core module.

        Raises:
            InvalidModuleError: It is none, or is refused by a limit or by its features.
            CompileBudgetError: Compiling took more than it may.
            CacheError: The folder of the cache is not private.
        """
        module = self._compiler.compile(bytes(wasm))
        imports = imports_of(module)
        known = all(_mismatch(one) is None for one in imports)
        linked = Linked(self._compiler.engine, module, _SIGNATURES) if known else None
        return GuestModule(blake2b(wasm, digest_size=32).hexdigest(), imports, linked)

    def instantiate(
        self,
        module: GuestModule,
        authority: Authority = NOTHING_GRANTED,
        *,
        limits: Limits | None = None,
        services: Services | None = None,
        seed: bytes | None = None,
    ) -> Guest:
        """Make a guest, and run its start function.

        Args:
            module: What `compile` returned, of this machine.
            authority: What it may do.
            limits: What it may use.
            services: What the host lends.
            seed: Of a deterministic guest; empty by default there, and not allowed elsewhere.

        Raises:
            ImportRefusedError: An import is not granted; nothing of the guest ran.
            GuestEndedError: Its start function ended it, or it needs more than its limits.
            CvmError: A seed was given to a machine that is not deterministic.
        """
        linked = self._checked(module, authority, services or _NO_SERVICES)
        session = self._session(_BODIES, authority, services, limits, seed)
        return Guest(linked, session, self._ticker)

    def compile_component(self, wasm: bytes) -> GuestComponent:
        """Compile a component.

        Raises:
            InvalidModuleError: It is none, or is refused by a limit or by its features.
            CompileBudgetError: Compiling took more than it may.
            CacheError: The folder of the cache is not private.
        """
        engine = self._compiler.engine
        component = self._compiler.compile_component(bytes(wasm))
        found = described(engine, component, self._compiler.limits.type_parts)
        linked = LinkedComponent(engine, component, found, FUNCTIONS) if is_known(found) else None
        return GuestComponent(blake2b(wasm, digest_size=32).hexdigest(), found, linked)

    def instantiate_component(
        self,
        component: GuestComponent,
        authority: Authority = NOTHING_GRANTED,
        *,
        limits: Limits | None = None,
        services: Services | None = None,
        seed: bytes | None = None,
    ) -> ComponentGuest:
        """Make a guest of a component.

        Args:
            component: What `compile_component` returned, of this machine.
            authority: What it may do.
            limits: What it may use.
            services: What the host lends.
            seed: Of a deterministic guest; empty by default there, and not allowed elsewhere.

        Raises:
            ImportRefusedError: An import is not granted; nothing of the guest ran.
            GuestEndedError: A start function ended it, or it needs more than its limits.
            CvmError: A seed was given to a machine that is not deterministic.
        """
        refused = self.refused_imports(component, authority, services)
        if refused or component.linked is None:
            raise ImportRefusedError.of(refused)
        self._check_engine(component.linked.engine)
        session = self._session((), authority, services, limits, seed)
        return ComponentGuest(component.linked, session, self._ticker)

    def _session(
        self,
        bodies: Sequence[Body],
        authority: Authority,
        services: Services | None,
        limits: Limits | None,
        seed: bytes | None,
    ) -> Session:
        if seed is not None and not self.deterministic:
            raise CvmError("A seed needs Machine(deterministic=True).", code="cvm.no_seed")
        seed = (seed or b"") if self.deterministic else None
        return Session(bodies, authority, services or _NO_SERVICES, limits or _USUAL_LIMITS, seed)

    def refused_imports(
        self,
        module: GuestModule | GuestComponent,
        authority: Authority,
        services: Services | None = None,
    ) -> tuple[RefusedImport, ...]:
        """Say what would not be linked, and which grants are missing."""
        host = services or _NO_SERVICES
        if isinstance(module, GuestComponent):
            return refusals(module.found, authority, host, deterministic=self.deterministic)
        found = [self._refusal(one, authority, host) for one in module.imports]
        return tuple([one for one in found if one is not None])

    def require(self, module: GuestModule, authority: Authority, services: Services) -> None:
        """Find out, without making a guest, whether one can be made.

        Raises:
            ImportRefusedError: An import is not granted.
            CvmError: The module was compiled by another machine.
        """
        self._checked(module, authority, services)

    def _checked(self, module: GuestModule, authority: Authority, services: Services) -> Linked:
        refused = self.refused_imports(module, authority, services)
        if refused or module.linked is None:
            raise ImportRefusedError.of(refused)
        self._check_engine(module.linked.engine)
        return module.linked

    def _check_engine(self, engine: wasmtime.Engine) -> None:
        if engine is not self._compiler.engine:
            raise CvmError("The module was compiled by another machine.", code="cvm.wrong_machine")

    def _refusal(
        self, wanted: Import, authority: Authority, services: Services
    ) -> RefusedImport | None:
        why = _mismatch(wanted)
        if why is not None:
            return RefusedImport(wanted.module, wanted.name, "", why)
        function = _BY_NAME[wanted.module, wanted.name]
        if self.deterministic and not function.deterministic:
            return RefusedImport(wanted.module, wanted.name, "", "is not deterministic")
        grant = function.grant
        if grant is None:
            return None
        if not grant.is_served_by(services):
            why = f"has no service behind it (Services.{grant.service})"
            return RefusedImport(wanted.module, wanted.name, "", why)
        if authority.allows_some(grant.domain, grant.actions):
            return None
        return RefusedImport(wanted.module, wanted.name, grant.example, "is not granted")


def _mismatch(wanted: Import) -> str | None:
    function = _BY_NAME.get((wanted.module, wanted.name))
    if function is None:
        return "is no host function"
    if not wanted.is_function:
        return "is no function"
    signature = function.signature
    results = () if signature.result is None else (signature.result,)
    if wanted.parameters != signature.parameters or wanted.results != results:
        return f"has another signature, ({', '.join(signature.parameters)})"
    return None

"""A machine for WebAssembly guests whose imports are built from a verified capability token."""

from toka.cvm._authority import NOTHING_GRANTED, Authority
from toka.cvm._cache import ModuleCache
from toka.cvm._errors import (
    AuthorityLostError,
    CacheError,
    CancelledError,
    CompileBudgetError,
    CvmError,
    DeadlineError,
    GuestBusyError,
    GuestCallError,
    GuestEndedError,
    GuestExitError,
    GuestRuleError,
    GuestTrapError,
    HostFaultError,
    ImportRefusedError,
    InvalidModuleError,
    ModuleTooLargeError,
    OutOfFuelError,
    QuotaError,
    RefusedImport,
)
from toka.cvm._guest import Guest, Outcome
from toka.cvm._guest_handler import GuestHandler
from toka.cvm._guest_policy import GuestPolicy, Verdict
from toka.cvm._limits import Limits, ModuleLimits
from toka.cvm._machine import GuestModule, Machine
from toka.cvm._pool import GuestPool
from toka.cvm._pure_guest import PureAnswer, PureGuest
from toka.cvm._scan import is_component
from toka.cvm._services import (
    HttpHandler,
    HttpReply,
    HttpRequest,
    KeyValue,
    MemoryKeyValue,
    Services,
)
from toka.cvm._wasmtime import text_to_binary
from toka.cvm.components._component import GuestComponent
from toka.cvm.components._guest import ComponentGuest

__all__ = [
    "NOTHING_GRANTED",
    "Authority",
    "AuthorityLostError",
    "CacheError",
    "CancelledError",
    "CompileBudgetError",
    "ComponentGuest",
    "CvmError",
    "DeadlineError",
    "Guest",
    "GuestBusyError",
    "GuestCallError",
    "GuestComponent",
    "GuestEndedError",
    "GuestExitError",
    "GuestHandler",
    "GuestModule",
    "GuestPolicy",
    "GuestPool",
    "GuestRuleError",
    "GuestTrapError",
    "HostFaultError",
    "HttpHandler",
    "HttpReply",
    "HttpRequest",
    "ImportRefusedError",
    "InvalidModuleError",
    "KeyValue",
    "Limits",
    "Machine",
    "MemoryKeyValue",
    "ModuleCache",
    "ModuleLimits",
    "ModuleTooLargeError",
    "OutOfFuelError",
    "Outcome",
    "PureAnswer",
    "PureGuest",
    "QuotaError",
    "RefusedImport",
    "Services",
    "Verdict",
    "is_component",
    "text_to_binary",
]

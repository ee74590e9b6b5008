"""Every kind of event, and how its body becomes bytes.

The bytes are the canonical encoding of the body's class. A body that was written by an older
version is upcast when it is read: `decode_body` looks its kind up in `UPCASTS` first, until a
current kind is reached; nothing in a log is ever rewritten.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

from toka.kernel._agent_facts import (
    AgentCompleted,
    AgentFailed,
    AgentRestarted,
    AgentResumed,
    AgentSpawned,
    AgentSuspended,
    AgentTerminated,
    MessageConsumed,
    MessageSent,
    ObservationEmitted,
)
from toka.kernel._approval_facts import (
    ApprovalConsumed,
    ApprovalExpired,
    ApprovalRequested,
    ApprovalResolved,
)
from toka.kernel._budget_facts import BudgetReserved, BudgetSettled
from toka.kernel._errors import UnknownKindError
from toka.kernel._step_facts import (
    StepCompleted,
    StepCopied,
    StepFailed,
    StepRepeated,
    StepStarted,
)
from toka.kernel._system_facts import ExtensionRecorded, HostOpened, TokenAdmitted
from toka.kernel._task_facts import (
    LeaseRenewed,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskReleased,
    TaskRetried,
    TaskRevived,
    TaskScheduled,
    TaskStarted,
)
from toka.types import CanonicalEncodingError, Codec

Body: TypeAlias = (
    AgentSpawned
    | AgentSuspended
    | AgentResumed
    | AgentRestarted
    | AgentCompleted
    | AgentFailed
    | AgentTerminated
    | ObservationEmitted
    | MessageSent
    | MessageConsumed
    | TaskScheduled
    | TaskStarted
    | LeaseRenewed
    | TaskReleased
    | TaskRetried
    | TaskCompleted
    | TaskFailed
    | TaskCancelled
    | TaskRevived
    | StepStarted
    | StepRepeated
    | StepCompleted
    | StepFailed
    | StepCopied
    | ApprovalRequested
    | ApprovalResolved
    | ApprovalExpired
    | ApprovalConsumed
    | BudgetReserved
    | BudgetSettled
    | TokenAdmitted
    | HostOpened
    | ExtensionRecorded
)
"""The content of an event; its class says the kind."""

Upcast: TypeAlias = Callable[[bytes], tuple[str, bytes]]
"""Takes an old kind's bytes; returns the next kind and its bytes."""

BODIES: Final[tuple[type[Body], ...]] = cast("tuple[type[Body], ...]", Body.__args__)
KINDS: Final[tuple[str, ...]] = tuple(sorted(body.kind for body in BODIES))
"""Every kind that this version writes."""
UPCASTS: Final[Mapping[str, Upcast]] = {}
"""From the kinds of older versions; none is old yet."""

_CODECS: Final[dict[str, Codec[Body]]] = {body.kind: Codec(body) for body in BODIES}


def encode_body(body: Body) -> bytes:
    """Return the canonical bytes of `body`.

    Raises:
        CanonicalEncodingError: A text is not in normalisation form C.

    """
    return _CODECS[body.kind].encode(body)


def decode_body(kind: str, data: bytes, upcasts: Mapping[str, Upcast] = UPCASTS) -> Body:
    """Return the body that `data` encodes.

    Args:
        kind: As the event's header says.
        data: As `encode_body` made it, now or in an older version.
        upcasts: How bytes of older kinds become bytes of the next ones.

    Raises:
        UnknownKindError: This version does not know the kind, or the bytes are not of it.

    """
    while kind in upcasts:
        kind, data = upcasts[kind](data)
    codec = _CODECS.get(kind)
    if codec is None:
        raise UnknownKindError(
            f"No event of kind {kind[:80]!r} is known to this version.",
            hint="It was written by a newer version, or by something else.",
            details={"kind": kind[:256]},
        )
    try:
        return codec.decode(data)
    except CanonicalEncodingError as error:
        raise UnknownKindError(
            f"The event's bytes are not of kind {kind}: {error.message}",
            code="kernel.malformed_body",
            details={"kind": kind},
        ) from error

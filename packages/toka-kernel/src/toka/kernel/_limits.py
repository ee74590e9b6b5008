"""Bounds of the kernel's own, besides those of `toka.types`, so that memory stays bounded."""

from typing import Final

MAX_OPEN_APPROVALS: Final = 1_000
"""Approvals of one task that are neither consumed nor gone with it."""
MAX_OPEN_RESERVATIONS: Final = 1_000
"""Reservations of one agent that are not settled."""
MAX_TAINT_LABELS: Final = 64
"""Labels kept for one task; a task that has more is tainted all the same."""
MAX_STEP_NAME_BYTES: Final = 256
MAX_STEP_PATH_BYTES: Final = 1_024
MAX_HOLDER_BYTES: Final = 256
MAX_REASON_BYTES: Final = 4_096
"""Of any reason or question that a person or a program gives."""
MAX_FORM_BYTES: Final = 16_384
"""Of the form of an answer."""
MAX_ANSWER_BYTES: Final = 65_536
MAX_FAILURE_MESSAGE_BYTES: Final = 65_536
MAX_TAINT_LABEL_BYTES: Final = 512
MAX_AMOUNT: Final = 1 << 40
"""Of one resource in one operation: sums of millions of them still fit 64 bits."""
MAX_LEASE_NANOSECONDS: Final = 86_400_000_000_000
"""One day: a lease is renewed, not taken for ever."""

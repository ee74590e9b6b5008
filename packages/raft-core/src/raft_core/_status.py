"""What a node tells about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raft_core._progress import Progress
    from raft_core._states import ConfState, HardState, SoftState


@attrs.frozen
class Status:
    """One moment of a node. The progress of others is known to a leader only."""

    id: int
    hard_state: HardState
    soft_state: SoftState
    applied: int
    last_index: int
    lead_transferee: int
    quiescent: bool
    """It counts no ticks until something happens: `tick` need not be called."""
    conf_state: ConfState
    progress: Mapping[int, Progress]

"""Groups of simulated hosts under faults, each run from one seed, with Raft's promises checked.

python -m raft_core.simulation run 0 2000
"""

from raft_core.simulation._ablations import ABLATIONS, UNNOTICED, Ablation
from raft_core.simulation._coverage import Coverage
from raft_core.simulation._linearizability import Operation, Verdict, check_history
from raft_core.simulation._oracle import check_positions
from raft_core.simulation._outcome import Outcome, Violation, run_profile, run_seed
from raft_core.simulation._profile import MAX_HOSTS, Profile
from raft_core.simulation._shrink import shrink
from raft_core.simulation._store import Kind
from raft_core.simulation._violation import Invariant, InvariantViolationError

__all__ = [
    "ABLATIONS",
    "MAX_HOSTS",
    "UNNOTICED",
    "Ablation",
    "Coverage",
    "Invariant",
    "InvariantViolationError",
    "Kind",
    "Operation",
    "Outcome",
    "Profile",
    "Verdict",
    "Violation",
    "check_history",
    "check_positions",
    "run_profile",
    "run_seed",
    "shrink",
]

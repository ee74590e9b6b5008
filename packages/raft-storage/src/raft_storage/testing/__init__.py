"""A disk that loses, tears, corrupts and misdirects, to test stores and what is built on them."""

from raft_storage.testing._disk import PowerCut, SimulatedDisk
from raft_storage.testing._flips import FlipReport, flip_bits
from raft_storage.testing._folder import SimulatedFolder
from raft_storage.testing._medium import SECTOR, Call, Faults
from raft_storage.testing._workload import Contents, random_write

__all__ = [
    "SECTOR",
    "Call",
    "Contents",
    "Faults",
    "FlipReport",
    "PowerCut",
    "SimulatedDisk",
    "SimulatedFolder",
    "flip_bits",
    "random_write",
]

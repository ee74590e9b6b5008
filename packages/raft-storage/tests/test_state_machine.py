"""Any sequence of writes, restarts, kills and crashes leaves files and memory equal."""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raft_storage import FileStorage, MemoryStorage, Settings
from raft_storage.testing import Contents, SimulatedDisk, random_write


class Stores(RuleBasedStateMachine):
    """A store in files beside one in memory."""

    def __init__(self):
        super().__init__()
        self.disk = SimulatedDisk()
        self.size = Settings(segment_size=500)
        self.files = FileStorage.create(self.disk.folder(), self.size)
        self.memory = MemoryStorage()

    @rule(seed=st.integers(0, 2**32))
    def write(self, seed):
        write = random_write(Random(seed), self.memory)  # noqa: S311 - repeatable
        write(self.files)
        write(self.memory)

    @rule(size=st.sampled_from([1, 300, 500, 5000]))
    def restart(self, size):
        self.files.close()
        self.files = FileStorage.open(self.disk.folder(), Settings(segment_size=size))

    @rule(survival=st.floats(0, 1))
    def crash(self, survival):
        self.disk.crash(survival)
        self.files = FileStorage.open(self.disk.folder(), self.size)
        commit = self.memory.initial_state()[0]
        self.files.save(hard_state=commit)  # a commit index alone may be lost

    @invariant()
    def both_hold_the_same(self):
        assert Contents.of(self.files) == Contents.of(self.memory)


Stores.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestStores = Stores.TestCase

"""Cases 58 and 59 of the checklist, and what of the families of bugs is about files.

The other cases and families carry their numbers in the tests of raft-core.
"""

import pytest

from raft_core import (
    ConfChange,
    ConfChangeType,
    Config,
    ConfState,
    Entry,
    HardState,
    Node,
    Role,
    Snapshot,
    decode_conf_change,
)
from raft_storage import FileStorage, HoleError, Settings, repair
from raft_storage.testing import Contents, SimulatedDisk

LOG = "segment-000000000001"


class Member:
    """A node on a disk of its own."""

    def __init__(self, number, *founders):
        self.number, self.disk, self.applied = number, SimulatedDisk(), []
        with FileStorage.create(self.disk.folder()) as store:
            if founders:
                store.save(Snapshot(index=1, term=1, conf_state=ConfState(voters=founders)))
        self.start()

    def start(self):
        self.store = FileStorage.open(self.disk.folder())
        applied = self.store.first_index() - 1
        self.node = Node(Config(id=self.number, seed=7, applied=applied), self.store)
        self.applied.clear()

    def work(self):
        ready = self.node.ready()
        self.store.save(ready.snapshot, ready.entries, ready.hard_state)
        for entry in ready.committed_entries:
            change = decode_conf_change(entry)
            if change is not None:
                self.node.apply_conf_change(change)
            elif entry.data:
                self.applied.append(entry.data)
        self.node.advance()
        return [*ready.messages, *ready.persisted_messages]


class Trio:
    """Three members, and those who come later, with nothing lost between them."""

    def __init__(self, *numbers):
        self.members = {number: Member(number, *numbers) for number in numbers}

    def settle(self):
        while busy := [one for one in self.members.values() if one.node.has_ready()]:
            for message in [message for member in busy for message in member.work()]:
                if message.to in self.members:
                    self.members[message.to].node.step(message)

    def leader(self):
        for _ in range(500):
            for member in self.members.values():
                if member.node.status().soft_state.role is Role.LEADER:
                    return member
            for member in self.members.values():
                member.node.tick()
            self.settle()
        raise AssertionError("nobody leads")

    def propose(self, data):
        self.leader().node.propose(data)
        self.settle()

    def change(self, kind, number):
        self.leader().node.propose_conf_change(ConfChange(kind, number))
        self.settle()

    def damage(self, number, data):
        """Kill a member and flip a bit of an entry on its disk."""
        disk = self.members.pop(number).disk
        disk.kill()
        disk.flip(LOG, disk.files()[LOG].index(data) * 8)
        return disk


def test_case_58_who_lost_an_acknowledged_entry_gets_it_from_the_others_under_another_id():
    group = Trio(1, 2, 3)
    for number in range(5):
        group.propose(b"entry %d" % number)
    lost = next(number for number in group.members if number != group.leader().number)
    disk = group.damage(lost, b"entry 2")
    before = disk.files()
    with pytest.raises(HoleError):  # it does not start, and so votes for nothing
        FileStorage.open(disk.folder())
    assert disk.files() == before
    group.change(ConfChangeType.REMOVE_NODE, lost)
    group.members[4] = Member(4)
    group.change(ConfChangeType.ADD_NODE, 4)
    group.propose(b"entry 5")
    assert group.members[4].applied == [b"entry %d" % number for number in range(6)]


def test_case_58_an_entry_damaged_on_every_disk_is_not_made_up():
    group = Trio(1, 2, 3)
    for number in range(3):
        group.propose(b"entry %d" % number)
    for disk in [group.damage(number, b"entry 1") for number in (1, 2, 3)]:
        with pytest.raises(HoleError) as caught:
            FileStorage.open(disk.folder())
        assert caught.value.first_index <= 4 <= caught.value.last_index
        saved = SimulatedDisk()
        repair(disk.folder(), saved.folder())
        with FileStorage.open(saved.folder()) as store:
            assert store.last_index() == 3  # a snapshot, the leader's own entry, entry 0


@pytest.mark.parametrize("lost", [1, 8, 21, 39])
def test_case_58_of_a_single_voter_a_torn_write_is_cut_and_it_serves(lost):
    group = Trio(1)
    group.propose(b"kept")
    (member,) = group.members.values()
    notes = member.disk.files()["store"]  # as before the write that is torn: nobody was told
    group.propose(b"torn")
    member.disk.kill()
    log = member.disk.files()[LOG].rstrip(b"\0")
    files = {**member.disk.files(), LOG: log[:-lost], "store": notes}
    member.disk = SimulatedDisk(files)
    member.start()
    group.propose(b"later")
    assert member.applied[0] == b"kept"
    assert member.applied[-1] == b"later"


def three_batches():
    """Return the files after two batches, and after a third."""
    disk = SimulatedDisk()
    store = FileStorage.create(disk.folder())
    states = []
    for index in (1, 2, 3):
        store.save(entries=[Entry(1, index, b"entry %d" % index)], hard_state=HardState(1, 1, 0))
        states.append(disk.files())
    return states[1:]


def length_at(log, data):
    """Return where the length of the frame with some data is: after its checksum."""
    return log.index(data) - 28


@pytest.mark.parametrize("length", [0, 1_000, 2**20, 2**30, 2**32 - 1])
def test_case_59_a_length_beyond_the_file_is_cut_at_the_tail_and_refused_before_it(length):
    two, three = three_batches()

    def with_length(data):
        log = bytearray(three[LOG])
        at = length_at(log, data)
        assert log[at : at + 4] == len(data).to_bytes(4, "little")
        log[at : at + 4] = length.to_bytes(4, "little")
        return bytes(log)

    torn = SimulatedDisk({**three, LOG: with_length(b"entry 3"), "store": two["store"]})
    store = FileStorage.open(torn.folder())
    assert store.last_index() == 2
    assert store.recovery.cut in torn.files()
    for data in (b"entry 1", b"entry 2"):
        with pytest.raises(HoleError):
            FileStorage.open(SimulatedDisk({**three, LOG: with_length(data)}).folder())


def test_family_06_of_term_and_vote_no_crash_leaves_one_without_the_other():
    disk = SimulatedDisk()
    with FileStorage.create(disk.folder(), Settings(room=0)) as store:
        store.save(hard_state=HardState(3, 1, 0))
        before = disk.files()
        store.save(hard_state=HardState(4, 2, 0))
        log = disk.files()[LOG]
    for end in range(len(before[LOG]), len(log) + 1):
        left = SimulatedDisk({**before, LOG: log[:end]})
        found = FileStorage.open(left.folder()).initial_state()[0]
        assert found in (HardState(3, 1, 0), HardState(4, 2, 0))


def test_family_14_the_same_bytes_are_a_torn_write_or_damage_by_what_was_acknowledged():
    two, three = three_batches()
    log = bytearray(three[LOG])
    log[log.index(b"entry 3")] ^= 1
    never_acknowledged = SimulatedDisk({**three, LOG: bytes(log), "store": two["store"]})
    with FileStorage.open(never_acknowledged.folder()) as store:
        assert Contents.of(store) == Contents.of(FileStorage.open(SimulatedDisk(two).folder()))
        assert store.recovery.cut is not None
    acknowledged = SimulatedDisk({**three, LOG: bytes(log)})
    with pytest.raises(HoleError, match="3"):
        FileStorage.open(acknowledged.folder())

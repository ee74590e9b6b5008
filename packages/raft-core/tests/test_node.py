"""The contract of `Node` and `Config`, and messages as bytes."""

import msgspec
import pytest

from raft_core import (
    WIRE_VERSION,
    ConfigError,
    EntryTooLargeError,
    LocalMessageError,
    MalformedMessageError,
    Message,
    MessageType,
    MisaddressedError,
    ReadOnlyOption,
    Ready,
    UnsupportedVersionError,
    UsageError,
    WrongClusterError,
    decode_message,
    encode_message,
)

from .network import Network, make_node, make_storage, work

HEARTBEAT = Message(type=MessageType.HEARTBEAT, to=1, sender=2, term=1)


@pytest.mark.parametrize(
    "settings",
    [
        {"id": 0},
        {"id": 2**64 - 1},
        {"heartbeat_tick": 0},
        {"election_tick": 1, "heartbeat_tick": 1},
        {"applied": -1},
        {"max_size_per_message": 0},
        {"max_entry_size": 0},
        {"max_uncommitted_size": -1},
        {"max_inflight_messages": 0},
        {"max_inflight_bytes": 1},
        {"max_pending_reads": 0},
        {"read_only": ReadOnlyOption.LEASE_BASED, "check_quorum": False},
        {"read_only": ReadOnlyOption.LEASE_BASED, "check_quorum": True, "lease_margin_tick": 0},
        {"read_only": ReadOnlyOption.LEASE_BASED, "check_quorum": True, "lease_margin_tick": 10},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        make_node(**{"node_id": settings.pop("id", 1), **settings})  # type: ignore[arg-type]


def test_more_applied_than_the_log_holds_is_refused() -> None:
    with pytest.raises(ConfigError):
        make_node(1, make_storage([1, 1], commit=1), applied=3)


def test_what_was_applied_was_committed_even_if_that_was_not_written() -> None:
    node = make_node(1, make_storage([1, 1, 1], commit=1), applied=2)
    assert (node.status().applied, node.status().hard_state.commit) == (2, 2)


def test_a_ready_must_be_advanced_before_the_next() -> None:
    node = make_node(1)
    with pytest.raises(UsageError):
        node.advance()
    node.campaign()
    node.ready()
    with pytest.raises(UsageError):
        node.ready()
    node.advance()
    with pytest.raises(UsageError):
        node.advance()


def test_asynchronous_writes_are_not_advanced() -> None:
    node = make_node(1, async_storage_writes=True)
    node.campaign()
    node.ready()
    node.ready()
    with pytest.raises(UsageError):
        node.advance()


def test_a_node_with_nothing_to_do_says_so() -> None:
    node = make_node(1)
    assert not node.has_ready()
    assert node.ready() == Ready()


def test_a_status_is_a_copy() -> None:
    group = Network()
    group.campaign(1)
    group[1].node.status().progress[2].match = 99
    assert group[1].node.status().progress[2].match == 1
    assert group[2].node.status().progress == {}


def test_an_entry_above_the_limit_is_refused() -> None:
    group = Network(max_entry_size=10)
    group.campaign(1)
    before = group[1].node.status()
    with pytest.raises(EntryTooLargeError):
        group[1].node.propose_batch([b"x", b"x" * 11])
    assert group[1].node.status() == before


def test_an_empty_batch_is_refused() -> None:
    group = Network()
    group.campaign(1)
    with pytest.raises(MalformedMessageError):
        group[1].node.propose_batch([])


def test_a_message_for_another_node_is_refused() -> None:
    with pytest.raises(MisaddressedError):
        make_node(3).step(HEARTBEAT)


def test_local_messages_do_not_come_from_the_network() -> None:
    for asynchronous in (False, True):
        node = make_node(1, async_storage_writes=asynchronous)
        for kind in (MessageType.STORAGE_APPEND_RESP, MessageType.STORAGE_APPEND):
            with pytest.raises(LocalMessageError):
                node.step(Message(type=kind, to=1, sender=2, term=1, index=1))
    local = Message(type=MessageType.STORAGE_APPLY, to=1, sender=1)
    with pytest.raises(LocalMessageError):
        encode_message(local, cluster=1)


def test_bytes_of_another_cluster_or_a_later_version_are_refused() -> None:
    data = encode_message(HEARTBEAT, cluster=7)
    assert decode_message(data, cluster=7) == HEARTBEAT
    with pytest.raises(WrongClusterError):
        decode_message(data, cluster=8)
    with pytest.raises(UnsupportedVersionError):
        decode_message(bytes([WIRE_VERSION + 1]) + data[1:], cluster=7)


def test_fields_added_by_a_later_version_are_skipped() -> None:
    data = bytearray(encode_message(HEARTBEAT, cluster=7))
    assert data[9] == 0xDC  # an array of up to 65,535, and its length in two bytes
    data[11] += 1
    assert decode_message(bytes(data) + b"\x2a", cluster=7) == HEARTBEAT


def test_fields_that_an_earlier_version_lacks_are_empty() -> None:
    fields = msgspec.msgpack.decode(encode_message(HEARTBEAT, cluster=7)[9:])
    data = encode_message(HEARTBEAT, cluster=7)[:9] + msgspec.msgpack.encode(fields[:14])
    assert decode_message(data, cluster=7) == HEARTBEAT


def test_the_same_input_gives_the_same_output() -> None:
    def run() -> list[Message]:
        storage = make_storage()
        node = make_node(1, storage, seed=42)
        sent: list[Message] = []
        for _ in range(100):
            node.tick()
            sent += work(node, storage)
        return sent

    assert run() == run()


def test_a_leader_knows_where_its_next_entry_will_be():
    storage = make_storage(voters=(1,))
    node = make_node(1, storage)
    node.campaign()
    work(node, storage)
    term, index = node.term, node.last_index
    node.propose(b"command")
    (entry,) = node.ready().entries
    assert (entry.term, entry.index) == (term, index + 1) == (node.term, node.last_index)

"""The commands of the interaction transcripts: a group of nodes, driven step by step."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from raft_core import (
    APPEND_THREAD,
    APPLY_THREAD,
    NO_LIMIT,
    ConfChange,
    ConfChangeTransition,
    ConfChangeV2,
    Config,
    ConfState,
    Entry,
    HardState,
    MemoryStorage,
    Message,
    MessageType,
    Node,
    ProposalDroppedError,
    RaftError,
    ReadOnlyOption,
    RemovedLeader,
    Snapshot,
    UnknownPeerError,
    decode_conf_change,
)

from . import describe
from .tables import parse_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .transcripts import Command

_LEVELS = ("debug", "info", "warn", "error", "fatal", "none")
_TYPES = {describe.message_type(kind): kind for kind in MessageType}


def error_text(error: RaftError) -> str:
    """Write an error as the transcripts do where they name it."""
    if isinstance(error, ProposalDroppedError):
        return "raft proposal dropped"
    if isinstance(error, UnknownPeerError):
        return "raft: cannot step as peer not found"
    return error.reason


class Output:
    """Text, indented where a command runs others. Level "none" silences it."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._indent = ""
        self.level = 0

    def write(self, text: str) -> None:
        if self.level < len(_LEVELS) - 1:
            self._lines += [self._indent + line for line in text.splitlines()]

    @contextmanager
    def indented(self) -> Iterator[None]:
        self._indent += "  "
        try:
            yield
        finally:
            self._indent = self._indent[:-2]

    def take(self) -> str:
        text = "\n".join(self._lines)
        self._lines.clear()
        return text


@attrs.define
class Member:
    """A node with its storage, and what its storage threads have to do."""

    id: int
    config: Config
    node: Node
    storage: MemoryStorage
    append_work: list[Message] = attrs.field(factory=list)
    apply_work: list[Message] = attrs.field(factory=list)

    def write(
        self, state: HardState | None, entries: Sequence[Entry], snapshot: Snapshot | None
    ) -> None:
        if state is not None:
            self.storage.set_hard_state(state)
        if snapshot is not None:
            self.storage.apply_snapshot(snapshot)
        self.storage.append(entries)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Apply to a state machine that appends; keep the state after each entry as a snapshot."""
        for entry in entries:
            last = self.storage.latest_snapshot
            conf_state, update = last.conf_state, entry.data
            change = decode_conf_change(entry)
            if change is not None:
                conf_state, update = self.node.apply_conf_change(change), change.context
            self.storage.latest_snapshot = Snapshot(
                entry.index, entry.term, conf_state, last.data + update
            )


class Group:
    """Nodes, and the messages between them."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.messages: list[Message] = []
        self.output = Output()

    def handle(self, command: Command) -> str:
        handler: Callable[[Command], None] = getattr(self, "do_" + command.name.replace("-", "_"))
        try:
            handler(command)
        except RaftError as error:
            text = self.output.take()
            return "\n".join(filter(None, (text, error_text(error))))
        return self.output.take() or "ok"

    def _first(self, command: Command) -> Member:
        return self.members[int(command.positional[0]) - 1]

    def _chosen(self, command: Command) -> list[Member]:
        return [self.members[node_id - 1] for node_id in command.node_ids]

    # Setting up

    def do_log_level(self, command: Command) -> None:
        self.output.level = _LEVELS.index(command.positional[0].lower())

    def do_add_nodes(self, command: Command) -> None:
        index = int(command.value("index", "0"))
        voters = tuple(sorted(int(value) for value in command.values("voters")))
        learners = tuple(sorted(int(value) for value in command.values("learners")))
        content = command.value("content").encode()
        witnesses = tuple(sorted(int(value) for value in command.values("witnesses")))
        conf = ConfState(voters=voters, learners=learners, witnesses=witnesses)
        snapshot = Snapshot(index, 1, conf, content)
        for _ in range(int(command.positional[0])):
            storage = MemoryStorage()
            if index or voters or learners:
                assert index > 1
                storage.apply_snapshot(snapshot)
            config = self._config(command, len(self.members) + 1, index)
            node = Node(config, storage)
            self.members.append(Member(config.id, config, node, storage))

    @staticmethod
    def _config(command: Command, node_id: int, index: int) -> Config:
        return Config(
            id=node_id,
            applied=index,
            election_tick=3,
            heartbeat_tick=1,
            lease_margin_tick=1,
            max_size_per_message=NO_LIMIT,
            max_uncommitted_size=0,
            max_inflight_messages=int(command.value("inflight", str(2**31 - 1))),
            max_committed_size_per_ready=int(command.value("max-committed-size-per-ready", "0")),
            async_storage_writes=command.flag("async-storage-writes"),
            pre_vote=command.flag("prevote"),
            check_quorum=command.flag("checkquorum"),
            removed_leader=Group._removed_leader(command),
            disable_conf_change_validation=command.flag("disable-conf-change-validation"),
            read_only=ReadOnlyOption(command.value("read-only", "safe")),
            priority=Group._priority(command, node_id),
            quiesce_tick=int(command.value("quiesce", "0")),
            max_snapshot_chunk=int(command.value("chunk", "0")),
            witness=str(node_id) in command.values("witnesses"),
        )

    @staticmethod
    def _priority(command: Command, node_id: int) -> int:
        priorities = command.values("priorities")
        return int(priorities[node_id - 1]) if priorities else 0

    @staticmethod
    def _removed_leader(command: Command) -> RemovedLeader:
        if command.flag("hand-over-on-removal"):
            return RemovedLeader.HAND_OVER
        step_down = command.flag("step-down-on-removal")
        return RemovedLeader.STEP_DOWN if step_down else RemovedLeader.STAY

    def do_set_randomized_election_timeout(self, command: Command) -> None:
        timeout = int(command.value("timeout"))
        self._first(command).node._raft.randomized_election_timeout = timeout

    # Telling nodes what to do

    def do_campaign(self, command: Command) -> None:
        self._first(command).node.campaign()

    def do_propose(self, command: Command) -> None:
        self._first(command).node.propose(command.positional[1].encode())

    def do_propose_conf_change(self, command: Command) -> None:
        changes = parse_changes(command.input)
        transition = {
            "auto": ConfChangeTransition.AUTO,
            "implicit": ConfChangeTransition.JOINT_IMPLICIT,
            "explicit": ConfChangeTransition.JOINT_EXPLICIT,
        }[command.value("transition", "auto")]
        change: ConfChange | ConfChangeV2 = ConfChangeV2(changes, transition)
        if command.flag("v1"):
            (single,) = changes
            change = ConfChange(single.type, single.node_id)
        self._first(command).node.propose_conf_change(change)

    def do_tick_election(self, command: Command) -> None:
        member = self._first(command)
        for _ in range(member.config.election_tick):
            member.node.tick()

    def do_tick_heartbeat(self, command: Command) -> None:
        member = self._first(command)
        for _ in range(member.config.heartbeat_tick):
            member.node.tick()

    def do_transfer_leadership(self, command: Command) -> None:
        leader, successor = int(command.value("from")), int(command.value("to"))
        self.members[leader - 1].node.transfer_leader(successor)

    def do_forget_leader(self, command: Command) -> None:
        self._first(command).node.forget_leader()

    def do_request_snapshot(self, command: Command) -> None:
        self._first(command).node.request_snapshot()

    def do_set_commit_groups(self, command: Command) -> None:
        """`set-commit-groups 1 groups=(1,1,2)`: the group of each node, in order."""
        groups = {one: int(group) for one, group in enumerate(command.values("groups"), 1)}
        self._first(command).node.set_commit_groups(groups)

    def do_report_unreachable(self, command: Command) -> None:
        self._first(command).node.report_unreachable(command.node_ids[1])

    def do_report_snapshot(self, command: Command) -> None:
        success = command.value("status", "finish") == "finish"
        self._first(command).node.report_snapshot(command.node_ids[1], success=success)

    def do_read_index(self, command: Command) -> None:
        self._first(command).node.read_index(command.positional[1].encode())

    def do_send_snapshot(self, command: Command) -> None:
        sender, to = self._chosen(command)
        message = Message(
            type=MessageType.SNAP,
            to=to.id,
            sender=sender.id,
            term=sender.node.status().hard_state.term,
            snapshot=sender.storage.snapshot(),
        )
        self.messages.append(message)
        self.output.write(describe.message(message))

    def do_compact(self, command: Command) -> None:
        member = self._first(command)
        member.storage.compact(int(command.positional[1]))
        self._write_log(member)

    def do_restart(self, command: Command) -> None:
        """Lose everything that was not written. The state machine's state counts as written."""
        member = self._first(command)
        applied = member.storage.latest_snapshot.index
        member.config = attrs.evolve(member.config, applied=applied)
        member.node = Node(member.config, member.storage)
        member.append_work.clear()
        member.apply_work.clear()

    # Looking at nodes

    def do_raft_log(self, command: Command) -> None:
        self._write_log(self._first(command))

    def _write_log(self, member: Member) -> None:
        first, last = member.storage.first_index(), member.storage.last_index()
        if last < first:
            self.output.write(f"log is empty: first index={first}, last index={last}")
        for entry in member.storage.entries(first, last + 1):
            self.output.write(describe.entry(entry))

    def do_raft_state(self, _command: Command) -> None:
        for member in self.members:
            status = member.node.status()
            voter = "(Voter)" if member.id in status.conf_state.all_voters else "(Non-Voter)"
            role = describe.role(status.soft_state.role)
            self.output.write(
                f"{member.id}: {role} {voter} Term:{status.hard_state.term} "
                f"Lead:{status.soft_state.lead}" + (" Quiescent" if status.quiescent else "")
            )

    def do_status(self, command: Command) -> None:
        self.output.write(describe.all_progress(self._first(command).node.status().progress))

    # Handling what is ready

    def do_process_ready(self, command: Command) -> None:
        self._for_each(command, "handling Ready", self._process_ready)

    def do_process_append_thread(self, command: Command) -> None:
        self._for_each(command, "processing append thread", self._process_append)

    def do_process_apply_thread(self, command: Command) -> None:
        self._for_each(command, "processing apply thread", self._process_apply)

    def _for_each(self, command: Command, title: str, process: Callable[[Member], None]) -> None:
        members = self._chosen(command)
        if len(members) == 1:
            process(members[0])
            return
        for member in members:
            self.output.write(f"> {member.id} {title}")
            with self.output.indented():
                process(member)

    def _process_ready(self, member: Member) -> None:
        ready = member.node.ready()
        self.output.write(describe.ready(ready))
        for message in (*ready.messages, *ready.persisted_messages):
            if message.to == APPEND_THREAD:
                member.append_work.append(message)
            elif message.to == APPLY_THREAD:
                member.apply_work.append(message)
            else:
                self.messages.append(message)
        if not member.config.async_storage_writes:
            member.write(ready.hard_state, ready.entries, ready.snapshot)
            member.apply(ready.committed_entries)
            member.node.advance()

    def _process_append(self, member: Member) -> None:
        if not member.append_work:
            self.output.write("no append work to perform")
            return
        message = member.append_work.pop(0)
        self._begin(message)
        state = HardState(message.term, message.vote, message.commit) if message.term else None
        member.write(state, message.entries, message.snapshot)
        self._finish(message)

    def _process_apply(self, member: Member) -> None:
        if not member.apply_work:
            self.output.write("no apply work to perform")
            return
        message = member.apply_work.pop(0)
        self._begin(message)
        member.apply(message.entries)
        self._finish(message)

    def _begin(self, message: Message) -> None:
        bare = Message(
            type=message.type,
            to=message.to,
            sender=message.sender,
            term=message.term,
            vote=message.vote,
            commit=message.commit,
            entries=message.entries,
            snapshot=message.snapshot,
        )
        self.output.write(f"Processing:\n{describe.message(bare)}")

    def _finish(self, message: Message) -> None:
        self.output.write("Responses:")
        for response in message.responses:
            self.output.write(describe.message(response))
        self.messages += message.responses

    # Delivering

    def do_deliver_msgs(self, command: Command) -> None:
        kind = _TYPES[command.value("type")] if command.value("type") else None
        handled = 0
        for node_id in command.node_ids:
            handled += self._deliver(node_id, kind, drop=False)
        for value in command.values("drop"):
            handled += self._deliver(int(value), kind, drop=True)
        if not handled:
            self.output.write("no messages")

    def _deliver(self, node_id: int, kind: MessageType | None = None, *, drop: bool) -> int:
        chosen = [one for one in self.messages if self._is_chosen(one, node_id, kind, drop=drop)]
        self.messages = [
            one for one in self.messages if not self._is_chosen(one, node_id, kind, drop=drop)
        ]
        for message in chosen:
            self.output.write(("dropped: " if drop else "") + describe.message(message))
            if drop:
                continue
            try:
                self.members[node_id - 1].node.step(message)
            except RaftError as error:
                self.output.write(error_text(error))
        return len(chosen)

    @staticmethod
    def _is_chosen(message: Message, node_id: int, kind: MessageType | None, *, drop: bool) -> bool:
        # What a node's own storage threads say is not lost on any network.
        local = message.sender in (message.to, APPEND_THREAD, APPLY_THREAD)
        return message.to == node_id and kind in (None, message.type) and not (drop and local)

    def do_stabilize(self, command: Command) -> None:
        level = self.output.level
        if command.value("log-level"):
            self.output.level = _LEVELS.index(command.value("log-level").lower())
        try:
            members = self._chosen(command) or self.members
            while self._one_round(members):
                pass
        finally:
            self.output.level = level

    def _one_round(self, members: list[Member]) -> bool:
        """Do what is to be done, one kind of work after the other; say whether there was any."""

        def has_mail(member: Member) -> bool:
            return any(message.to == member.id for message in self.messages)

        def deliver(member: Member) -> None:
            self._deliver(member.id, drop=False)

        def append_all(member: Member) -> None:
            while member.append_work:
                self._process_append(member)

        def apply_all(member: Member) -> None:
            while member.apply_work:
                self._process_apply(member)

        kinds: tuple[tuple[str, Callable[[Member], object], Callable[[Member], None]], ...] = (
            ("handling Ready", lambda member: member.node.has_ready(), self._process_ready),
            ("receiving messages", has_mail, deliver),
            ("processing append thread", lambda member: member.append_work, append_all),
            ("processing apply thread", lambda member: member.apply_work, apply_all),
        )
        worked = False
        for title, has_work, work in kinds:
            for member in members:
                if has_work(member):
                    worked = True
                    self.output.write(f"> {member.id} {title}")
                    with self.output.indented():
                        work(member)
        return worked

"""How the transcripts write messages, entries, states and progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_core import (
    APPEND_THREAD,
    APPLY_THREAD,
    ConfChangeType,
    Entry,
    EntryType,
    MessageType,
    ProgressState,
    Role,
    decode_conf_change,
)
from raft_core._membership import general

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raft_core import ConfState, HardState, Message, Progress, Ready, Snapshot

_CHANGE = {
    ConfChangeType.ADD_NODE: "v",
    ConfChangeType.ADD_LEARNER: "l",
    ConfChangeType.REMOVE_NODE: "r",
    ConfChangeType.UPDATE_NODE: "u",
    ConfChangeType.ADD_WITNESS: "w",
}
_TARGETS = {0: "None", APPEND_THREAD: "AppendThread", APPLY_THREAD: "ApplyThread"}
_ESCAPES = {ord('"'): '\\"', ord("\\"): "\\\\", ord("\n"): "\\n", ord("\t"): "\\t"}


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def message_type(kind: MessageType) -> str:
    return f"Msg{camel(kind.name)}"


def role(value: Role) -> str:
    return f"State{camel(value.name)}"


def quoted(data: bytes) -> str:
    return f'"{data.decode("ascii").translate(_ESCAPES)}"'


def ids(values: Iterable[int]) -> str:
    return f"[{' '.join(str(value) for value in values)}]"


def node_set(values: Iterable[int]) -> str:
    return f"({' '.join(f'{value:x}' for value in values)})"


def configuration(conf: ConfState) -> str:
    text = f"voters={node_set(conf.voters)}"
    if conf.is_joint:
        text += f"&&{node_set(conf.voters_outgoing)}"
    if conf.learners:
        text += f" learners={node_set(conf.learners)}"
    if conf.learners_next:
        text += f" learners_next={node_set(conf.learners_next)}"
    if conf.witnesses:
        text += f" witnesses={node_set(conf.witnesses)}"
    return f"{text} autoleave" if conf.auto_leave else text


def conf_state(conf: ConfState) -> str:
    return (
        f"Voters:{ids(conf.voters)} VotersOutgoing:{ids(conf.voters_outgoing)} "
        f"Learners:{ids(conf.learners)} LearnersNext:{ids(conf.learners_next)} "
        f"AutoLeave:{str(conf.auto_leave).lower()}"
    ) + (f" Witnesses:{ids(conf.witnesses)}" if conf.witnesses else "")


def snapshot(value: Snapshot) -> str:
    return f"Index:{value.index} Term:{value.term} ConfState:{conf_state(value.conf_state)}"


def hard_state(value: HardState) -> str:
    vote = f" Vote:{value.vote}" if value.vote else ""
    return f"Term:{value.term}{vote} Commit:{value.commit}"


def entry(value: Entry) -> str:
    change = decode_conf_change(value)
    if change is None:
        text = quoted(value.data)
    else:
        text = " ".join(f"{_CHANGE[one.type]}{one.node_id}" for one in general(change).changes)
    kind = {
        EntryType.NORMAL: "EntryNormal",
        EntryType.CONF_CHANGE: "EntryConfChange",
        EntryType.CONF_CHANGE_V2: "EntryConfChangeV2",
        EntryType.WITNESSED: "EntryWitnessed",
    }[value.type]
    return f"{value.term}/{value.index} {kind} {text}".rstrip()


def target(node_id: int) -> str:
    return _TARGETS.get(node_id, f"{node_id:x}")


def message(value: Message, indent: str = "") -> str:
    text = (
        f"{indent}{target(value.sender)}->{target(value.to)} {message_type(value.type)} "
        f"Term:{value.term} Log:{value.log_term}/{value.index}"
    )
    if value.reject:
        text += f" Rejected (Hint: {value.reject_hint})"
    if value.commit:
        text += f" Commit:{value.commit}"
    if value.vote:
        text += f" Vote:{value.vote}"
    if value.priority:
        text += f" Priority:{value.priority}"
    if value.offset:
        text += f" Offset:{value.offset}"
    if len(value.entries) == 1:
        text += f" Entries:[{entry(value.entries[0])}]"
    elif value.entries:
        lines = "".join(f"\n{indent}  {entry(one)}" for one in value.entries)
        text += f" Entries:[{lines}\n{indent}]"
    if value.snapshot is not None:
        text += f"\n{indent}  Snapshot: {snapshot(value.snapshot)}"
    if value.responses:
        lines = "".join(f"\n{message(one, indent + '  ')}" for one in value.responses)
        text += f" Responses:[{lines}\n{indent}]"
    return text


def ready(value: Ready) -> str:
    lines: list[str] = []
    if value.soft_state is not None:
        lines.append(f"Lead:{value.soft_state.lead} State:{role(value.soft_state.role)}")
    if value.hard_state is not None:
        lines.append(f"HardState {hard_state(value.hard_state)}")
    if value.read_states:
        reads = " ".join(f"{{{one.index} {ids(one.context)}}}" for one in value.read_states)
        lines.append(f"ReadStates [{reads}]")
    if value.entries:
        lines += ["Entries:", *map(entry, value.entries)]
    if value.snapshot is not None:
        lines.append(f"Snapshot {snapshot(value.snapshot)}")
    if value.committed_entries:
        lines += ["CommittedEntries:", *map(entry, value.committed_entries)]
    messages = [*value.messages, *value.persisted_messages]
    if messages:
        lines += ["Messages:", *map(message, messages)]
    if not lines:
        return "<empty Ready>"
    return "\n".join([f"Ready MustSync={str(value.must_sync).lower()}:", *lines])


def progress(value: Progress) -> str:
    state = {
        ProgressState.PROBE: "StateProbe",
        ProgressState.REPLICATE: "StateReplicate",
        ProgressState.SNAPSHOT: "StateSnapshot",
    }[value.state]
    text = f"{state} match={value.match} next={value.next}"
    if value.is_learner:
        text += " learner"
    if value.is_paused:
        text += " paused"
    if value.wanted_snapshot:
        text += f" wants={value.wanted_snapshot}"
    if value.pending_snapshot:
        text += f" pendingSnap={value.pending_snapshot}"
    if not value.recent_active:
        text += " inactive"
    if value.inflights.count:
        full = "[full]" if value.inflights.is_full else ""
        text += f" inflight={value.inflights.count}{full}"
    return text


def all_progress(values: Mapping[int, Progress]) -> str:
    return "\n".join(f"{member}: {progress(values[member])}" for member in sorted(values))

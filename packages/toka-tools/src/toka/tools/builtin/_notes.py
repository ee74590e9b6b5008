"""The tools `store_note` and `recall_note`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import attrs
from msgspec import Meta

from toka.capability.core import PermissionSyntaxError, Request, quote_resource
from toka.tools._errors import AccessDeniedError, InvalidArgumentsError, NotesError
from toka.tools._typed import Output, TypedTool
from toka.tools.notes._notes import MAX_NOTE_BYTES, Note
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.tools.notes._notes import Notes
    from toka.types import Json, SideEffect

MAX_NAMES: Final = 200

Name: TypeAlias = Annotated[
    str,
    Meta(
        description="Names joined by '/', such as agents/ada/todo.",
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$",
        max_length=200,
    ),
]


@attrs.frozen
class StoreNoteArguments:
    """Arguments of `store_note`."""

    name: Name
    text: Annotated[str | None, Meta(description="Null forgets the note.")]


@attrs.frozen
class RecallNoteArguments:
    """Arguments of `recall_note`."""

    name: Name


class StoreNote(TypedTool[StoreNoteArguments]):
    """Keeps a text under a name."""

    name = "store_note"
    description = (
        "Keep a text under a name for later, in place of what was kept there, or forget it."
    )
    side_effect: SideEffect = "idempotent"
    actions = ("note:write",)
    taints = False
    kind = StoreNoteArguments

    def needs(self, arguments: StoreNoteArguments, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - notes are in no directory
        return (_request("write", arguments.name),)

    async def run(self, arguments: StoreNoteArguments, context: ToolContext) -> Output:
        notes = _notes(context, "write", arguments.name)
        if arguments.text is None:
            return Output({"name": arguments.name, "forgotten": await notes.forget(arguments.name)})
        size = _size(arguments.text)
        note = Note(arguments.name, arguments.text, context.clock.now())
        made = await notes.store(note)
        return Output({"name": arguments.name, "bytes": size, "created": made})


class RecallNote(TypedTool[RecallNoteArguments]):
    """Gives back what was kept."""

    name = "recall_note"
    description = (
        "Return the `text` that was kept under a name, with `found`; and as `below` the names of"
        " the notes whose names begin with it and '/'."
    )
    side_effect: SideEffect = "read_only"
    actions = ("note:read",)
    kind = RecallNoteArguments

    def needs(self, arguments: RecallNoteArguments, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - notes are in no directory
        return (_request("read", arguments.name),)

    async def run(self, arguments: RecallNoteArguments, context: ToolContext) -> Output:
        notes = _notes(context, "read", arguments.name)
        note = await notes.recall(arguments.name)
        names = [
            name
            for name in await notes.below(arguments.name)
            if context.granted.covers(_request("read", name))
        ]
        more = len(names) > MAX_NAMES
        value: dict[str, Json] = {
            "name": arguments.name,
            "found": note is not None,
            "text": None if note is None else note.text,
            "stored_at": None if note is None else _time(note.stored_at),
            "below": list(names[:MAX_NAMES]),
            "truncated": more,
        }
        return Output(value, truncated=more)


def _request(action: str, name: str) -> str:
    try:
        return Request.parse(f"note:{action}:{quote_resource(name)}").text
    except PermissionSyntaxError as error:
        raise InvalidArgumentsError(
            f"No permission can name the note {name!r}: {error.message}"
        ) from error


def _notes(context: ToolContext, action: str, name: str) -> Notes:
    request = _request(action, name)
    if not context.granted.covers(request):
        raise AccessDeniedError(
            f"The call needs {request}, which is not granted.", details={"request": request}
        )
    if context.notes is None:
        raise NotesError(
            "There is nowhere to keep notes.", hint="Give the context `notes`, such as FileNotes."
        )
    return context.notes


def _size(text: str) -> int:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidArgumentsError("The text is not valid Unicode.") from error
    if size > MAX_NOTE_BYTES:
        raise InvalidArgumentsError(
            f"A note has at most {MAX_NOTE_BYTES} bytes, and this {size}.",
            hint="Write it to a file, and note its path.",
        )
    return size


def _time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // NANOSECONDS, UTC).isoformat()

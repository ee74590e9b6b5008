"""WASI 0.2, `wasi:filesystem`: directories, and what is refused to everybody."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Never

import attrs

from toka.cvm._errors import GuestTrapError
from toka.cvm._files import Handle, full_name, parent_of
from toka.cvm.components._types import BORROW, OWN, STRING, option, record, result
from toka.cvm.components._wasi_files import (
    AT,
    CODES,
    NEW_TIME,
    NOTHING,
    TYPE,
    TYPES,
    answering,
    directory_of,
    is_directory,
    need,
    parts_in,
    refuse,
)

if TYPE_CHECKING:
    from toka.cvm._session import Session

FILES: Final = TYPES
"""All of `wasi:filesystem/types`, after this module was read."""

_ENTRY: Final = record(type=TYPE, name=STRING)
_ENTRY_BYTES: Final = 24


@attrs.define(eq=False)
class Listing:
    """The entries of a directory that a guest has not seen yet, the next one last."""

    entries: list[dict[str, str]]


@TYPES.add("[method]descriptor.read-directory", BORROW, returns=result(OWN, CODES))
@answering
def read_directory(session: Session, base: object) -> Listing:
    directory = directory_of(base)
    need(session, directory.path, "read")
    with os.scandir(directory.descriptor) as entries:
        found = [{"type": _entry_type(one), "name": one.name} for one in entries]
    session.move(sum(len(one["name"]) + _ENTRY_BYTES for one in found))
    return Listing(sorted(found, key=lambda one: one["name"], reverse=True))


def _entry_type(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "symbolic-link"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "regular-file" if entry.is_file(follow_symlinks=False) else "unknown"


@TYPES.add(
    "[method]directory-entry-stream.read-directory-entry",
    BORROW,
    returns=result(option(_ENTRY), CODES),
)
def read_directory_entry(_session: Session, listing: object) -> dict[str, str] | None:
    if not isinstance(listing, Listing):
        raise GuestTrapError.of("bad_handle")
    return listing.entries.pop() if listing.entries else None


def _to_change(session: Session, base: object, path: str) -> tuple[Handle, list[str]]:
    directory = directory_of(base)
    parts, _, name = parts_in(directory, path)
    if not parts:
        refuse("invalid")
    need(session, name, "write")
    return directory, parts


@TYPES.add("[method]descriptor.create-directory-at", BORROW, STRING, returns=NOTHING)
@answering
def create_directory_at(session: Session, base: object, path: str) -> None:
    directory, parts = _to_change(session, base, path)
    with parent_of(directory, parts) as parent:
        os.mkdir(parts[-1], 0o755, dir_fd=parent)


@TYPES.add("[method]descriptor.remove-directory-at", BORROW, STRING, returns=NOTHING)
@answering
def remove_directory_at(session: Session, base: object, path: str) -> None:
    directory, parts = _to_change(session, base, path)
    with parent_of(directory, parts) as parent:
        os.rmdir(parts[-1], dir_fd=parent)


@TYPES.add("[method]descriptor.unlink-file-at", BORROW, STRING, returns=NOTHING)
@answering
def unlink_file_at(session: Session, base: object, path: str) -> None:
    directory, parts = _to_change(session, base, path)
    with parent_of(directory, parts) as parent:
        os.unlink(parts[-1], dir_fd=parent)


@TYPES.add("[method]descriptor.rename-at", BORROW, STRING, BORROW, STRING, returns=NOTHING)
@answering
def rename_at(session: Session, base: object, path: str, to: object, to_path: str) -> None:
    """Rename a file. Directories stay where they are: what is beneath keeps its permissions."""
    directory, parts = _to_change(session, base, path)
    target, to_parts = _to_change(session, to, to_path)
    if is_directory(directory, parts):
        refuse("unsupported")
    # Reading, too: else what may only be written could be moved to where it may be read.
    need(session, full_name(directory, parts), "read")
    with parent_of(directory, parts) as parent, parent_of(target, to_parts) as to_parent:
        os.rename(parts[-1], to_parts[-1], src_dir_fd=parent, dst_dir_fd=to_parent)


@TYPES.add("[method]descriptor.readlink-at", BORROW, STRING, returns=result(STRING, CODES))
@answering
def readlink_at(session: Session, base: object, path: str) -> str:
    directory = directory_of(base)
    parts, _, name = parts_in(directory, path)
    need(session, name, "read")
    if not parts:
        refuse("invalid")
    with parent_of(directory, parts) as parent:
        return os.fsencode(os.readlink(parts[-1], dir_fd=parent)).decode(errors="replace")


# --- What is refused to everybody ---


@TYPES.add("[method]descriptor.link-at", *AT, BORROW, STRING, returns=NOTHING)
def link_at(_session: Session, *_arguments: object) -> Never:
    """Refuse: a second name would be covered by other permissions."""
    refuse("not-permitted")


@TYPES.add("[method]descriptor.symlink-at", BORROW, STRING, STRING, returns=NOTHING)
def symlink_at(_session: Session, *_arguments: object) -> Never:
    """Refuse: the host might follow it."""
    refuse("not-permitted")


@TYPES.add("[method]descriptor.set-times", BORROW, NEW_TIME, NEW_TIME, returns=NOTHING)
def set_times(_session: Session, *_arguments: object) -> Never:
    """Say that it is not there."""
    refuse("unsupported")


@TYPES.add("[method]descriptor.set-times-at", *AT, NEW_TIME, NEW_TIME, returns=NOTHING)
def set_times_at(_session: Session, *_arguments: object) -> Never:
    """Say that it is not there."""
    refuse("unsupported")

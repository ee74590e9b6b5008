"""Opening for writing: the steps that need the lock, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from toka.store.core import EMPTY, Damaged, StoreMissing
from toka.store.sled._engine import open_engine
from toka.store.sled._folder import choose, identify, sync_directory, write_marker
from toka.store.sled._headfile import HeadFile, read_head
from toka.store.sled._lock import WriterLock
from toka.store.sled._reader import Reader
from toka.store.sled._writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.store.core import Head
    from toka.store.sled._engine import Engine, EngineName
    from toka.store.sled._folder import Folder
    from toka.store.sled._headfile import Recorded
    from toka.store.sled._writer import Progress

Synchronous: TypeAlias = Literal["full", "normal"]
"""`full`: an acknowledged append survives a power cut. `normal`: it survives the process."""

TAIL: Final = 256
"""Events that are read at open, digests, links and all."""

_KEEP: Final = (
    "Nothing was written; keep the files. Restore a backup, or run `python -m toka.store.sled"
    " repair` on the folder: it keeps a copy and says what is missing."
)


def open_writer(
    folder: Folder,
    wanted: EngineName | None,
    *,
    make: bool,
    synchronous: Synchronous,
    now: int,
    report: Callable[[Progress], None],
) -> Writer:
    """Lock a store, check it, and open it for writing.

    Raises:
        OpenRefused: It is missing, locked, foreign, of a newer format or of another engine.
        Damaged: It is not as it was written.
        EngineError: Input or output failed.
        OSError: Input or output failed.
    """
    found = identify(folder)
    if found is None and not make:
        raise StoreMissing(str(folder.path))
    choose(folder, found, wanted)
    folder.path.mkdir(exist_ok=True)
    lock = WriterLock(folder.lock, f"sled:{folder.path}", now)
    try:
        # Asked again, for another process may have made it before we had the lock.
        found = identify(folder)
        engine = choose(folder, found, wanted)
        recorded = read_head(folder.head)
        opened = open_engine(
            engine, folder.data(engine), create=found is None, sync=synchronous == "full"
        )
        try:
            location = folder.location(engine)
            head = inspect(opened, location, recorded)
            head_file = HeadFile(folder.head, recorded.commits if recorded else 0)
            # What a killed writer committed may not be on disk yet. Opening moved the engine's log
            # into a sorted file and waited for it, so the record, which waits too, cannot lead it.
            head_file.rewrite(head)
            if found is None:
                sync_directory(folder.path)
                write_marker(folder, engine)
            return Writer(opened, head_file, lock, location, report)
        except BaseException:
            opened.close()
            raise
    except BaseException:
        lock.release()
        raise


def inspect(engine: Engine, location: str, recorded: Recorded | None) -> Head:
    """Check an engine's contents before they are used, changing nothing; return the head.

    Raises:
        Damaged: Something is not as it was written, or acknowledged events are missing.
        EngineError: The engine cannot be read.
    """
    view = engine.view()
    try:
        reader = Reader(view, location)
        head = reader.head()
        check_recorded(reader, location, head, recorded)
        for _ in reader.chain(max(0, head.position - TAIL)):
            pass
        return head
    finally:
        view.close()


def check_recorded(reader: Reader, location: str, head: Head, recorded: Recorded | None) -> None:
    """Compare the engine's contents with the head that was recorded beside them.

    Raises:
        Damaged: They do not reach it, or have another event there, or none is recorded.
        EngineError: The engine cannot be read.
    """
    if recorded is None:
        if head != EMPTY:
            raise Damaged(location, "its head file is missing or unreadable", hint=_KEEP)
        return
    wanted = recorded.head
    if wanted.position > head.position:
        what = f"the acknowledged events {head.position + 1} to {wanted.position} are missing"
        raise Damaged(location, what, hint=_KEEP)
    if reader.digest_at(wanted.position) != wanted.digest:
        what = "the event is not the one that was acknowledged"
        raise Damaged(location, what, position=wanted.position, hint=_KEEP)

"""Opening for writing: the steps that need the lock, in their order.

An engine that opens changes its files, even if what it finds is not what was acknowledged. So its
files are judged first, in a private copy (`_replica`), and are opened only when they pass.

After a power cut the engine's log may end in sectors that were written and not yet waited for, some
of them there and some not. LevelDB calls that damage, and only its lenient mode reads on. It is
given that mode where the copy, so read, is whole: every event up to the recorded head, each link
and each index. What is left out then was never acknowledged.
"""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from toka.store.core import Head, StoreMissing
from toka.store.core.backend import HeadFile, Recorded, WriterLock, read_head, sync_directory
from toka.store.sled._engine import EngineDamaged, open_engine
from toka.store.sled._folder import choose, identify, write_marker
from toka.store.sled._inspection import inspect
from toka.store.sled._replica import FIXED, Replica
from toka.store.sled._verification import whole
from toka.store.sled._writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from toka.store.core.backend import Progress
    from toka.store.sled._engine import EngineName
    from toka.store.sled._folder import Folder

Synchronous: TypeAlias = Literal["full", "normal"]
"""`full`: an acknowledged append survives a power cut. `normal`: it survives the process."""

_NOTHING: Final = Recorded(0, Head(0, b""))

logger = logging.getLogger(__name__)


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
        data = folder.data(engine)
        if found is None and not (recorded or _NOTHING).head.position and _unused(data):
            shutil.rmtree(data, ignore_errors=True)  # a creation that was cut short
        if data.exists() or found is not None:
            _judge(folder, engine, recorded)
        opened = open_engine(engine, data, create=found is None, sync=synchronous == "full")
        try:
            sync_directory(data)
            head = inspect(opened, folder.location(engine), recorded)
            head_file = HeadFile(folder.head)
            # What a killed writer committed may not be on disk yet. Opening moved the engine's log
            # into a sorted file and waited for it, so the record, which waits too, cannot lead it.
            head_file.rewrite(head)
            if found is None:
                write_marker(folder, engine)
            return Writer(opened, head_file, lock, folder.location(engine), report)
        except BaseException:
            opened.close()
            raise
    except BaseException:
        lock.release()
        raise


def _unused(data: Path) -> bool:
    """Say whether an engine's folder holds no event: no sorted file, and nothing in a log."""
    if not data.exists():
        return True
    return not any(
        each.suffix in FIXED or (each.suffix == ".log" and each.stat().st_size)
        for each in data.iterdir()
    )


def _judge(folder: Folder, engine: EngineName, recorded: Recorded | None) -> None:
    """Refuse a store that is not as it was written; leave out the torn end of an engine's log.

    Raises:
        Damaged: It is not as it was written.
        EngineError: It cannot be read.
        OSError: It cannot be read.
    """
    try:
        Replica(folder, engine).close()
    except EngineDamaged as error:
        replica = Replica(folder, engine, paranoid=False)
        try:
            if not whole(replica.view(), folder.location(engine), recorded):
                raise
        finally:
            replica.close()
        logger.warning(
            "%s: leaving out the end of the engine's log, which was never acknowledged: %s",
            folder.path,
            error,
        )
        # Opened and closed, so that what is whole stands in files of its own.
        lenient = open_engine(engine, folder.data(engine), create=False, paranoid=False)
        lenient.close()

"""Changes of a file, made together: all of them or none, under the lock, shown before if wished."""

from __future__ import annotations

import contextlib
import gc
from typing import NamedTuple

from toka.config_cli._document import load
from toka.config_cli._exits import DONE
from toka.config_cli._file import format_of, locked, read, replace
from toka.config_cli._key_path import show_path
from toka.config_cli._show import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Generator
    from pathlib import Path

    from toka.config_cli._document import Document
    from toka.config_cli._file import Snapshot
    from toka.config_cli._key_path import KeyPath
    from toka.config_cli._parser import Settings
    from toka.config_cli._value import Value


class Put(NamedTuple):
    """A value to put in."""

    path: KeyPath
    value: Value
    kind: str
    """What was said about its type."""
    follow: bool = False

    def on(self, document: Document) -> Document:
        """Return the document with the change made."""
        from toka.config_cli._splice import same  # noqa: PLC0415 - of no use to who only reads
        from toka.config_cli._typed import check_type  # noqa: PLC0415 - as above

        check_type(document, self.path, self.value, self.kind)
        known = None not in self.path and document.has(self.path)
        if known and same(document.data(self.path), self.value):
            return document
        return document.set(self.path, self.value, follow=self.follow)


class Take(NamedTuple):
    """A value to take out."""

    path: KeyPath
    missing_ok: bool = False

    def on(self, document: Document) -> Document:
        """Return the document with the change made."""
        if self.missing_ok and not document.has(self.path):
            return document
        return document.delete(self.path)


Change = Put | Take


def transact(options: argparse.Namespace, settings: Settings, changes: list[Change]) -> int:
    """Make changes of the file that the options name.

    Raises:
        ConfigError: One of them cannot be made; then none is.
    """

    def apply(snapshot: Snapshot) -> str:
        document = load(snapshot.text, format_of(snapshot.path), options.document)
        for change in changes:
            settings.note("debug", f"{type(change).__name__.lower()} {show_path(change.path)}")
            document = change.on(document)
        return document.text

    return rewrite(options, settings, apply)


def rewrite(
    options: argparse.Namespace, settings: Settings, change: Callable[[Snapshot], str]
) -> int:
    """Put a new text in the place of the file that the options name, or show what would change.

    Raises:
        ConfigError: The new text cannot be made or written.
    """
    file = settings.file(options.file)
    format_of(file)
    with _fast(), contextlib.ExitStack() as stack:
        if not options.dry_run:
            stack.enter_context(locked(read_folder(file), settings.lock_timeout))
        snapshot = read(file)
        text = change(snapshot)
        if options.dry_run:
            from toka.config_cli._text_diff import text_diff  # noqa: PLC0415 - few ask for it

            write(text_diff(snapshot.text, text, file.name, reveal=settings.reveal))
        elif text == snapshot.text:
            settings.note("info", f"{file} is as it should be already")
        else:
            replace(snapshot, text)
            settings.note("info", f"{file} was changed")
    return DONE


def read_folder(file: Path) -> Path:
    """Return the folder that holds a file, behind any symbolic link."""
    return file.resolve().parent


@contextlib.contextmanager
def _fast() -> Generator[None]:
    """Keep the collector still: a large file is a million tuples, none of them garbage."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()

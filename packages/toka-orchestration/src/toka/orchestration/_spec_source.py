"""Files to text: everything that can be wrong with a file before its first character is parsed."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Final, NoReturn

from toka.orchestration._errors import SpecFileError
from toka.orchestration._place import Place

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES: Final = 1_048_576
"""Size of a specification file that is read, unless the caller says otherwise."""
MAX_FILES: Final = 1_000
"""Specification files in one folder."""
SUFFIXES: Final = (".yaml", ".yml", ".toml", ".json")
"""What a specification file's name ends in."""

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_WIDE_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
# Tab, line feed and carriage return are the only ones that belong into a text.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def is_folder(path: Path) -> bool:
    """Say whether a path leads to a folder; what cannot be looked at is left to who reads it."""
    try:
        return path.is_dir()
    except OSError:
        return False


def spec_files(folder: Path) -> tuple[Path, ...]:
    """Return the specification files of a folder, by name; hidden files and folders are not taken.

    Raises:
        SpecFileError: The folder cannot be read, holds no such file, or too many.
    """
    try:
        files = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and path.name[0] != "." and not path.is_dir()
        )
    except OSError as error:
        _refuse(folder, f"The folder cannot be read: {error.strerror}.")
    if not files:
        wanted = ", ".join([f"*{suffix}" for suffix in SUFFIXES])
        _refuse(folder, "The folder holds no specification.", f"Add a file of {wanted}.")
    if len(files) > MAX_FILES:
        _refuse(folder, f"The folder holds {len(files)} files; at most {MAX_FILES} are read.")
    return tuple(files)


def read_file(path: Path, limit: int) -> str:
    """Return the text of a specification file.

    Raises:
        SpecFileError: It is missing, no regular file, too large, not readable, or not text.
    """
    if path.suffix.lower() not in SUFFIXES:
        what = f"A specification's name does not end in {path.suffix or 'nothing'!r}."
        _refuse(path, what, f"Use one of {', '.join(SUFFIXES)}.")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            _refuse(path, "This is no regular file.", "Name a file, or a folder of files.")
        if status.st_size > limit:
            _refuse_size(path, f"{status.st_size:,}", limit)
        # One byte more than the limit, because a file may grow after it was measured.
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        _refuse(path, "There is no such file.", "Check the path.")
    except (OSError, ValueError) as error:
        _refuse(path, f"The file cannot be read: {error}.", "Check its type and permissions.")
    if len(data) > limit:
        _refuse_size(path, f"over {limit:,}", limit)
    return decode(data, str(path))


def decode(data: bytes, file: str) -> str:
    """Return the text that `data` is in UTF-8, with or without a byte order mark.

    Raises:
        SpecFileError: It is in another encoding, or binary.
    """
    if data.startswith(_WIDE_MARKS):
        raise SpecFileError.at(Place(file), "The file is in UTF-16 or UTF-32.", "Save it as UTF-8.")
    try:
        text = data.removeprefix(_UTF8_MARK).decode()
    except UnicodeDecodeError as error:
        what = (
            f"Byte 0x{data[error.start]:02X} is not UTF-8; the file is binary or in another code."
        )
        raise SpecFileError.at(
            _place(file, data, error.start), what, "Save it as UTF-8."
        ) from error
    control = _CONTROL.search(text)
    if control:
        what = f"The file holds the control character U+{ord(control[0]):04X}; is it binary?"
        offset = len(text[: control.start()].encode())
        raise SpecFileError.at(_place(file, data, offset), what, "Name a text file.")
    return text


def _place(file: str, data: bytes, offset: int) -> Place:
    start = data.rfind(b"\n", 0, offset) + 1
    column = len(data[start:offset].decode(errors="replace")) + 1
    return Place(file, data.count(b"\n", 0, offset) + 1, column)


def _refuse(path: Path, what: str, hint: str = "") -> NoReturn:
    raise SpecFileError.at(Place(str(path)), what, hint)


def _refuse_size(path: Path, size: str, limit: int) -> NoReturn:
    what = f"The file has {size} bytes; at most {limit:,} are read."
    _refuse(path, what, "Split it into several files.")

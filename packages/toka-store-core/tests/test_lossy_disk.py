import errno
import os
import sqlite3
from pathlib import Path

import pytest

from toka.store.core.testing import (
    DiskUnavailable,
    LossyDisk,
    Recording,
    flip_bit,
    garbage_tail,
    truncate_file,
    zero_tail,
)
from toka.store.core.testing._record import (
    AnyRecord,
    Create,
    MakeFolder,
    Mark,
    Remove,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Write,
)

NEW: list[AnyRecord] = [Create("a", 1), Write(1, 0, b"1" * 2_000), Sync(1), SyncFolder("")]


def outcomes(records: list[AnyRecord], *, strict: bool = False) -> list[dict[str, bytes]]:
    recording = Recording(records)
    return [recording.cut(len(records), seed=seed, strict=strict).files for seed in range(200)]


def test_what_was_synchronised_is_there_in_every_outcome() -> None:
    for strict in (False, True):
        assert outcomes(NEW, strict=strict) == [{"a": b"1" * 2_000}] * 200


def test_what_was_not_synchronised_is_there_lost_and_torn() -> None:
    found = outcomes([*NEW, Write(1, 0, b"2" * 2_000)])
    contents = {outcome["a"] for outcome in found}
    assert {b"1" * 2_000, b"2" * 2_000} < contents
    assert any(b"1" in each and b"2" in each for each in contents)


def test_a_later_write_can_be_there_without_an_earlier_one() -> None:
    records = [*NEW, Write(1, 0, b"2" * 512), Write(1, 1_024, b"3" * 512)]
    assert any(
        outcome["a"] == b"1" * 1_024 + b"3" * 512 + b"1" * 464 for outcome in outcomes(records)
    )


def test_a_file_can_have_its_length_without_its_contents() -> None:
    ends = {outcome["a"][2_000:] for outcome in outcomes([*NEW, Write(1, 2_000, b"2" * 512)])}
    assert {b"", b"2" * 512, bytes(512)} <= ends
    assert any(set(each) - set(b"2\0") for each in ends), "and with garbage"


def test_names_survive_in_their_order_and_fsync_of_any_file_keeps_them() -> None:
    records: list[AnyRecord] = [*NEW, Create("b", 2), Rename("b", "c", 2)]
    names = {tuple(sorted(outcome)) for outcome in outcomes(records)}
    assert names == {("a",), ("a", "b"), ("a", "c")}
    assert {tuple(outcome) for outcome in outcomes([*records, Sync(1)])} == {("a", "c")}


def test_on_a_strict_disk_only_the_folder_keeps_names() -> None:
    records: list[AnyRecord] = [MakeFolder("d"), SyncFolder(""), Create("d/b", 2), Sync(2)]
    assert {tuple(each) for each in outcomes(records, strict=True)} == {(), ("d/b",)}
    records += [SyncFolder("d")]
    assert {tuple(each) for each in outcomes(records, strict=True)} == {("d/b",)}


def test_a_removed_file_can_come_back() -> None:
    records = [*NEW, Remove("a")]
    assert {tuple(each) for each in outcomes(records)} == {(), ("a",)}


def test_a_killed_process_leaves_all_that_it_wrote() -> None:
    records = [*NEW, Write(1, 2_000, b"22"), Truncate(1, 1), Mark("end")]
    recording = Recording(records)
    assert recording.kill(5).files == {"a": b"1" * 2_000 + b"22"}
    assert recording.kill(4, torn=1).files == {"a": b"1" * 2_000 + b"2"}
    assert recording.kill(6).files == {"a": b"1"}
    assert recording.cut(6, "lost").files == {"a": b"1" * 2_000}
    assert recording.index("end") == 6
    with pytest.raises(ValueError, match="no mark"):
        recording.index("start")


def test_one_seed_gives_one_image() -> None:
    recording = Recording([*NEW, Write(1, 500, b"2" * 9_000)])
    for seed in range(20):
        assert recording.cut(5, seed=seed) == recording.cut(5, seed=seed)


@pytest.fixture
def disk(tmp_path: Path):
    if not Path("/dev/fuse").exists():
        pytest.skip("this machine has no FUSE")
    with LossyDisk(tmp_path / "lossy") as disk:
        yield disk


def test_the_disk_records_what_a_program_does(disk: LossyDisk, tmp_path: Path) -> None:
    path = disk.folder / "d" / "file"
    path.parent.mkdir()
    with path.open("wb", buffering=0) as file:
        file.write(b"first")
        os.fsync(file.fileno())
        disk.mark("synchronised")
        file.write(b" second")
    path.rename(disk.folder / "renamed")
    recording = disk.recording()
    assert recording.marks() == ["synchronised"]
    assert (disk.folder / "renamed").read_bytes() == b"first second"
    end = len(recording.records)
    assert recording.kill(end).files == {"renamed": b"first second"}
    assert recording.cut(end, "lost").files == {"d/file": b"first"}
    folder = recording.cut(end, "lost").write_to(tmp_path / "after")
    assert (folder / "d" / "file").read_bytes() == b"first"


def test_the_disk_behaves_as_any_other(disk: LossyDisk) -> None:
    path = disk.folder / "file"
    path.write_bytes(b"0123456789")
    with path.open("ab") as file:
        file.write(b"abc")
    truncate_file(path, 12)
    os.link(path, disk.folder / "linked")
    path.unlink()
    assert [each.name for each in disk.folder.iterdir()] == ["linked"]
    assert (disk.folder / "linked").read_bytes() == b"0123456789ab"
    end = len(disk.recording().records)
    assert disk.recording().kill(end).files == {"linked": b"0123456789ab"}
    with path.open("wb") as file:
        file.write(b"again")
    assert path.read_bytes() == b"again"
    (disk.folder / "a").mkdir()
    (disk.folder / "a" / "b").write_bytes(b"in")
    (disk.folder / "a").rename(disk.folder / "c")
    end = len(disk.recording().records)
    assert disk.recording().kill(end).files["c/b"] == b"in"
    (disk.folder / "c" / "b").unlink()
    (disk.folder / "c").rmdir()
    assert sorted(each.name for each in disk.folder.iterdir()) == ["file", "linked"]


def test_calls_fail_when_they_are_told_to(disk: LossyDisk) -> None:
    with (disk.folder / "file").open("wb", buffering=0) as file:
        disk.fail("write", errno.ENOSPC, after=1, times=1)
        file.write(b"a")
        with pytest.raises(OSError, match="No space"):
            file.write(b"b")
        file.write(b"c")
        disk.fail("sync")
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output"):
                os.fsync(file.fileno())
        disk.heal()
        os.fsync(file.fileno())
    assert (disk.folder / "file").read_bytes() == b"ac"


@pytest.mark.parametrize(("mode", "loses"), [("OFF", True), ("NORMAL", True), ("FULL", False)])
def test_sqlite_in_wal_mode_loses_commits_unless_it_synchronises(
    disk: LossyDisk, tmp_path: Path, mode: str, loses: bool
) -> None:
    """Hold the disk against a program whose behaviour is known, and both answers with it."""
    connection = sqlite3.connect(disk.folder / "file.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {mode}")
    connection.execute("CREATE TABLE t (value TEXT)")
    disk.mark("0")
    for number in range(1, 21):
        connection.execute("INSERT INTO t VALUES (?)", ("x" * 300,))
        disk.mark(str(number))
    recording = disk.recording()
    connection.close()
    lost = 0
    for seed in range(40):
        at = recording.index("0") + 1 + seed * 7 % (len(recording.records) - recording.index("0"))
        folder = recording.cut(at, seed=seed).write_to(tmp_path / str(seed))
        opened = sqlite3.connect(folder / "file.db")
        try:
            (count,) = opened.execute("SELECT count(*) FROM t").fetchone()
        except sqlite3.DatabaseError:
            count = -1
        opened.close()
        lost += count < int(recording.marks(at)[-1])
    assert (lost > 0) == loses


def test_a_disk_that_cannot_be_served_says_why(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("toka.store.core.testing._lossy_disk._MODULE", "toka.no_such_module")
    with pytest.raises(DiskUnavailable, match="no_such_module"), LossyDisk(tmp_path / "lossy"):
        pass


def test_files_at_rest_are_damaged_as_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    zero_tail(path, 2)
    assert path.read_bytes() == b"01234567\0\0"
    flip_bit(path, 0, 1)
    assert path.read_bytes()[0] == ord("0") ^ 2
    truncate_file(path, 4)
    garbage_tail(path, 99, seed=1)
    assert path.stat().st_size == 4
    assert path.read_bytes() != b"2123"
    with pytest.raises(ValueError, match="no byte 4"):
        flip_bit(path, 4)

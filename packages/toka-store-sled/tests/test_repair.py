import shutil
from pathlib import Path

import pytest

from toka.store.core import (
    Damaged,
    OpenRefused,
    Snapshot,
    StoreFailed,
    StoreLocked,
    StoreMissing,
)
from toka.store.core.testing import EventSource, flip_bit
from toka.store.sled import SledStore, repair
from toka.store.sled.__main__ import main
from toka.types import EventId

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["leveldb", "rocksdb"])
def engine(request) -> str:
    return request.param


async def filled(path: Path, engine: str, *, merged: bool = False) -> list[EventId]:
    """Make a store of 60 events with causes and snapshots, as the death of its process leaves it;
    return the identifiers."""
    source, origin = EventSource(), path.with_name("origin")
    async with await SledStore.open(f"{origin}?engine={engine}") as store:
        parents = ()
        for index in range(60):
            event = source.new(f"s{index % 5}", payload=b"payload %d " % index * 40)
            event = source.new(f"s{index % 5}", payload=event.payload, parents=parents)
            await store.append([event])
            parents = (*parents[-1:], event.id)
            if merged and index == 29:
                assert store._engine is not None
                store._engine.compact()
        await store.save_snapshot(Snapshot("state", 20, b"early", b""))
        await store.save_snapshot(Snapshot("state", 60, b"late", b""))
        ids = [event.id async for event in store.read()]
        shutil.copytree(origin, path)
    shutil.rmtree(origin)
    return ids


def the_log(path: Path, engine: str) -> Path:
    return max((path / engine).glob("*.log"), key=lambda each: each.stat().st_size)


async def test_a_sound_store_loses_nothing_and_is_kept_all_the_same(tmp_path, engine):
    path = tmp_path / "run"
    ids = await filled(path, engine)
    before = {each.name: each.read_bytes() for each in (path / engine).iterdir()}
    report = repair(path)
    assert (report.head.position, report.acknowledged, report.lost) == (60, 60, ())
    kept = Path(report.kept)
    assert {each.name: each.read_bytes() for each in (kept / engine).iterdir()} == before
    async with await SledStore.open(str(path), create=False) as store:
        assert (await store.verify()).ok
        assert [event.id async for event in store.read()] == ids
        assert [event.id for event in await store.descendants(ids[0])] == ids[1:]
        snapshot = await store.load_snapshot("state")
        assert snapshot is not None
        assert snapshot.data == b"late"
        await store.append([EventSource(9).new()], head=60)


async def test_a_lost_log_is_reported_by_positions(tmp_path, engine):
    path = tmp_path / "run"
    await filled(path, engine, merged=True)
    the_log(path, engine).unlink()
    with pytest.raises(Damaged, match="31 to 60 are missing"):
        await SledStore.open(str(path))
    report = repair(path)
    assert report.head.position == 30
    assert (report.missing, report.damaged, report.stranded) == (((31, 60),), (), ())
    assert report.lost == ((31, 60),)
    async with await SledStore.open(str(path)) as store:
        assert (await store.verify()).ok
        assert (await store.head()) == report.head
        snapshot = await store.load_snapshot("state")
        assert snapshot is None or snapshot.position <= 30


async def test_a_lost_file_strands_what_follows(tmp_path, engine):
    path = tmp_path / "run"
    await filled(path, engine, merged=True)
    for each in (path / engine).iterdir():
        if each.suffix in {".ldb", ".sst"}:
            each.unlink()
    with pytest.raises(Damaged):
        await SledStore.open(str(path))
    report = repair(path)
    assert report.head.position == 0
    assert report.missing == ((1, 30),)
    assert report.stranded == ((31, 60),)
    assert report.lost == ((1, 60),)
    async with await SledStore.open(str(path)) as store:
        assert (await store.verify()).ok


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
async def test_a_flipped_bit_costs_no_more_than_what_is_reported(tmp_path, engine, part):
    path = tmp_path / "run"
    ids = await filled(path, engine)
    log = the_log(path, engine)
    used = len(log.read_bytes().rstrip(b"\0"))
    flip_bit(log, int(used * part), 3)
    with pytest.raises(Damaged):
        await SledStore.open(str(path))
    report = repair(path)
    assert report.lost == ((report.head.position + 1, 60),)
    lost = {each for first, last in report.lost for each in range(first, last + 1)}
    told = [
        each
        for ranges in (report.missing, report.damaged, report.stranded)
        for first, last in ranges
        for each in range(first, last + 1)
    ]
    assert sorted(told) == sorted(lost)
    async with await SledStore.open(str(path)) as store:
        assert (await store.verify()).ok
        assert [event.id async for event in store.read()] == ids[: report.head.position]


async def test_a_lost_marker_and_head_file_are_made_anew(tmp_path, engine):
    path = tmp_path / "run"
    await filled(path, engine)
    (path / "head").unlink()
    with pytest.raises(Damaged, match="head file"):
        await SledStore.open(str(path))
    (path / "store.json").write_bytes(b"{")
    with pytest.raises(Damaged, match=r"store\.json"):
        await SledStore.open(str(path))
    report = repair(path)
    assert (report.head.position, report.acknowledged, report.lost) == (60, None, ())
    async with await SledStore.open(str(path)) as store:
        assert (await store.verify()).ok


async def test_a_store_in_use_is_not_repaired(tmp_path, engine):
    path = tmp_path / "run"
    async with await SledStore.open(f"{path}?engine={engine}") as store:
        with pytest.raises(StoreLocked):
            repair(path)
        await store.append([EventSource().new()])


async def test_an_earlier_damage_is_not_written_over(tmp_path, engine):
    path = tmp_path / "run"
    await filled(path, engine)
    repair(path)
    with pytest.raises(OpenRefused, match="kept"):
        repair(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["run", "run.damaged"]


async def test_a_repair_that_cannot_put_the_store_in_place_leaves_all_as_it_was(
    tmp_path, engine, monkeypatch
):
    path = tmp_path / "run"
    ids = await filled(path, engine)
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name == "store":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StoreFailed, match="No space"):
        repair(path)
    assert [each.name for each in tmp_path.iterdir()] == ["run"]
    async with await SledStore.open(str(path), create=False) as store:
        assert [event.id async for event in store.read()] == ids


async def test_a_repair_that_was_cut_short_is_not_taken_for_an_empty_store(tmp_path, engine):
    path = tmp_path / "run"
    await filled(path, engine)
    path.rename(tmp_path / "run.damaged")
    (tmp_path / "run.repairing" / "store").mkdir(parents=True)
    for read_only in (False, True):
        with pytest.raises(Damaged, match="cut short"):
            await SledStore.open(str(path), read_only=read_only)
    report = repair(path)
    assert (report.head.position, report.lost) == (60, ())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["run", "run.damaged"]


def test_where_there_is_no_store_there_is_nothing_to_repair(tmp_path):
    with pytest.raises(StoreMissing):
        repair(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


async def test_the_command_says_what_is_lost(tmp_path, engine, capsys):
    path = tmp_path / "run"
    await filled(path, engine, merged=True)
    assert main(["repair", str(path)]) == 0
    assert "Nothing that was acknowledged is lost" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "run.damaged")
    shutil.rmtree(path)
    await filled(path, engine, merged=True)
    the_log(path, engine).unlink()
    assert main(["repair", str(path)]) == 1
    said = capsys.readouterr().out
    assert "Not in it any more: 31 to 60." in said
    assert "without a record: 31 to 60" in said
    assert main(["repair", str(path)]) == 2
    assert "run.damaged" in capsys.readouterr().err

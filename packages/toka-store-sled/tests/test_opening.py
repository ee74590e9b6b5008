import asyncio
import json
import shutil

import pytest

from toka.store.core import (
    Absent,
    Damaged,
    ForeignFile,
    NewerFormat,
    OpenRefused,
    Query,
    Receipt,
    StoreFailed,
    StoreLocked,
    StoreMissing,
    open_store,
)
from toka.store.core.testing import EventSource
from toka.store.sled import SledStore, _folder
from toka.store.sled._engine import Engine
from toka.store.sled._keys import event_key

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["leveldb", "rocksdb"])
def engine(request) -> str:
    return request.param


async def test_a_store_says_which_engine_it_is_on(tmp_path, engine):
    async with await open_store(f"sled:{tmp_path}/run?engine={engine}") as store:
        await store.append([EventSource().new()])
        assert store.location == f"sled:{tmp_path}/run?engine={engine}"
        assert (await store.stats()).location == store.location
    async with await open_store(f"sled:{tmp_path}/run") as store:
        assert store.location.endswith(f"engine={engine}")
        assert (await store.head()).position == 1


async def test_a_folder_of_one_engine_refuses_the_other(tmp_path, engine):
    other = "rocksdb" if engine == "leveldb" else "leveldb"
    await (await SledStore.open(f"{tmp_path}/run?engine={engine}")).aclose()
    for read_only in (False, True):
        with pytest.raises(OpenRefused) as caught:
            await SledStore.open(f"{tmp_path}/run?engine={other}", read_only=read_only)
        assert caught.value.code == "store.other_engine"
        assert f"made by {engine}" in str(caught.value)
    assert not (tmp_path / "run" / other).exists()


async def test_an_engine_that_is_not_installed_is_named(tmp_path, engine, monkeypatch):
    await (await SledStore.open(f"{tmp_path}/run?engine={engine}")).aclose()
    monkeypatch.setattr(_folder, "installed", lambda _name: False)
    with pytest.raises(OpenRefused) as caught:
        await SledStore.open(f"{tmp_path}/run")
    assert caught.value.code == "store.engine_missing"
    assert {"leveldb": "plyvel", "rocksdb": "rocksdict"}[engine] in str(caught.value)


async def test_a_newer_format_and_a_damaged_marker_are_refused(tmp_path):
    path = tmp_path / "run"
    await (await SledStore.open(str(path))).aclose()
    marker = path / "store.json"
    whole = json.loads(marker.read_text())
    for changes, refusal in [
        ({"format": 2}, NewerFormat),
        ({"engine": "sled"}, Damaged),
        ({"toka": "something else"}, ForeignFile),
    ]:
        marker.write_text(json.dumps(whole | changes))
        before = {each.name: each.stat().st_mtime_ns for each in path.iterdir()}
        with pytest.raises(refusal):
            await SledStore.open(str(path))
        assert {each.name: each.stat().st_mtime_ns for each in path.iterdir()} == before


@pytest.mark.parametrize("read_only", [False, True])
async def test_what_is_no_store_is_refused_and_left_alone(tmp_path, read_only):
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("text")
    folder.mkdir()
    (folder / "CURRENT").write_text("MANIFEST-000001\n")
    for path in (file, folder):
        with pytest.raises(ForeignFile):
            await SledStore.open(str(path), read_only=read_only)
    assert [each.name for each in folder.iterdir()] == ["CURRENT"]


@pytest.mark.parametrize("options", [{"create": False}, {"read_only": True}])
async def test_a_missing_store_is_reported_and_nothing_is_made(tmp_path, options):
    with pytest.raises(StoreMissing):
        await SledStore.open(str(tmp_path / "run"), **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "location", ["", "run?engine=sled", "run?synchronous=off", "run?engine=", "run?mode=1"]
)
async def test_an_address_that_makes_no_sense_is_refused(location):
    with pytest.raises(OpenRefused) as caught:
        await SledStore.open(location)
    assert caught.value.code == "store.invalid_location"


async def test_a_missing_parent_folder_is_reported(tmp_path):
    with pytest.raises(StoreFailed, match="No such file"):
        await SledStore.open(str(tmp_path / "nowhere" / "run"))


async def test_a_creation_that_was_cut_short_is_done_again(tmp_path, engine):
    path = tmp_path / "run"
    await (await SledStore.open(f"{path}?engine={engine}")).aclose()
    (path / "store.json").unlink()
    (path / engine / "CURRENT").write_text("MANIFEST-")
    async with await SledStore.open(f"{path}?engine={engine}") as store:
        await store.append([EventSource().new()])
    async with await SledStore.open(str(path)) as store:
        assert (await store.head()).position == 1


async def test_a_lost_marker_does_not_cost_the_events(tmp_path, engine):
    path = tmp_path / "run"
    async with await SledStore.open(f"{path}?engine={engine}") as store:
        await store.append(EventSource().several(3))
    (path / "store.json").unlink()
    async with await SledStore.open(f"{path}?engine={engine}") as store:
        assert (await store.head()).position == 3
    (path / "store.json").unlink()
    (path / "head").unlink()
    with pytest.raises(Damaged, match="head file"):
        await SledStore.open(f"{path}?engine={engine}")


async def test_a_reader_beside_a_writer_follows_it_through_merges(tmp_path, engine):
    source = EventSource()
    async with await SledStore.open(f"{tmp_path}/run?engine={engine}") as writer:
        await writer.append(source.several(10))
        async with await SledStore.open(f"{tmp_path}/run", read_only=True) as reader:
            for count in range(1, 6):
                assert (await reader.head()).position == 10 * count
                await writer.append(source.several(10))
                engine_of(writer).compact()
                assert len(await reader.read_page(0, 1_000)) == 10 * (count + 1)
            with pytest.raises(StoreLocked):
                await SledStore.open(f"{tmp_path}/run")


async def test_a_copy_of_the_folder_without_its_head_file_is_refused(tmp_path, engine):
    async with await SledStore.open(f"{tmp_path}/run?engine={engine}") as store:
        await store.append(EventSource().several(3))
    shutil.copytree(tmp_path / "run", tmp_path / "copy", ignore=shutil.ignore_patterns("head"))
    with pytest.raises(Damaged, match="head file"):
        await SledStore.open(str(tmp_path / "copy"))


def engine_of(store: SledStore) -> Engine:
    assert store._engine is not None
    return store._engine


async def test_an_append_that_asks_about_a_damaged_event_fails_alone(tmp_path, engine):
    source, path = EventSource(), f"{tmp_path}/run?engine={engine}"
    async with await SledStore.open(path) as store:
        await store.append([source.new(tags=("odd",)), *source.several(300)])
        assert store._engine is not None
        batch, view = store._engine.batch(), store._engine.view()
        batch.put(event_key(1), (view.get(event_key(1)) or b"")[:-1] + b"!")
        view.close()
        store._engine.write(batch)
    async with await SledStore.open(path) as store:
        odd = Absent(Query(tags=("odd",)))
        outcomes = await asyncio.gather(
            store.append([source.new()]),
            store.append([source.new()], absent=[odd]),
            store.append([source.new()]),
            return_exceptions=True,
        )
        assert [type(each) for each in outcomes] == [Receipt, Damaged, Receipt]
        assert (await store.head()).position == 303
        assert (await store.verify()).problems[0].position == 1

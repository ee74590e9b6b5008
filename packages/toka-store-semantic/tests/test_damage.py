"""Files that are not what was written: discarded and built again, never believed."""

import json
import logging
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from toka.store.core import open_store
from toka.store.core.testing import EventSource
from toka.store.semantic import Engine, IndexFailed, SemanticIndex
from toka.store.semantic._sealed import Sealed, seal, unseal

pytestmark = pytest.mark.anyio

QUERIES = ("the disk of server 7", "report number 12", "nothing")


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def store(anyio_backend):  # noqa: ARG001
    async with await open_store("memory:") as opened:
        source = EventSource()
        for number in range(60):
            text = f"report number {number}: the disk of server {number % 9} is full"
            await opened.append([source.new(payload=json.dumps({"text": text}).encode())])
        yield opened


async def answers(store, folder, engine: Engine = "exact"):
    async with await SemanticIndex.open(store, folder, engine=engine) as index:
        added = await index.catch_up()
        return added, [await index.search(query) for query in QUERIES]


@pytest.fixture(scope="module")
async def whole(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, (await answers(store, folder))[1]


@pytest.fixture(autouse=True)
def quiet():
    logging.getLogger("toka.store.semantic").setLevel(logging.ERROR)


def copied(whole: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(whole, to))


async def test_what_is_whole_is_believed(store, whole, tmp_path):
    folder, expected = whole
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["catalog.db", "catalog.seal", "lock"]
    assert await answers(store, copied(folder, tmp_path / "copy")) == (0, expected)


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "not closed"])
async def test_no_changed_byte_changes_an_answer(store, whole, tmp_path, sealed):
    folder, expected = whole
    size = (folder / "catalog.db").stat().st_size
    random = np.random.default_rng(3)
    rebuilt = 0
    for at in sorted({*range(0, 120, 12), *random.integers(0, size, 30).tolist()}):
        copy = copied(folder, tmp_path / "copy")
        if not sealed:
            (copy / "catalog.seal").unlink()
        with (copy / "catalog.db").open("r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0xFF]))
        added, found = await answers(store, copy)
        assert found == expected, f"byte {at}"
        rebuilt += added > 0
    assert rebuilt > 12, "most bytes matter"


def spoil(path: Path, how: str) -> None:
    match how:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "half":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        case _:
            path.write_bytes(b"something else entirely " * 500)


@pytest.mark.parametrize("name", ["catalog.db", "catalog.seal"])
@pytest.mark.parametrize("how", ["missing", "empty", "half", "foreign"])
async def test_lost_and_torn_files_cost_time_and_no_answer(store, whole, tmp_path, name, how):
    folder, expected = whole
    copy = copied(folder, tmp_path / "copy")
    spoil(copy / name, how)
    assert (await answers(store, copy))[1] == expected


@pytest.mark.parametrize("how", ["missing", "empty", "half", "foreign"])
async def test_a_spoilt_graph_is_made_again_from_the_catalogue(store, tmp_path, how):
    def best(found):
        return [(len(hits), hits[0].document if hits else None) for hits in found]

    _, expected = await answers(store, tmp_path, "graph")
    spoil(tmp_path / "graph", how)
    added, found = await answers(store, tmp_path, "graph")
    assert added == 0
    assert best(found) == best(expected)


async def test_a_sealed_file_from_before_does_not_vouch_for_a_later_one(store, whole, tmp_path):
    folder, expected = whole
    copy = copied(folder, tmp_path / "copy")
    old = (copy / "catalog.seal").read_bytes()
    with (copy / "catalog.db").open("r+b") as file:
        file.seek(4_096 * 3 + 50)
        file.write(b"\xff" * 20)
    (copy / "catalog.seal").write_bytes(old)
    assert (await answers(store, copy))[1] == expected


async def test_rebuilding_is_logged(store, whole, tmp_path, caplog):
    caplog.set_level(logging.WARNING, "toka.store.semantic")
    copy = copied(whole[0], tmp_path / "copy")
    (copy / "catalog.db").write_bytes(b"x" * 5_000)
    await answers(store, copy)
    assert "is discarded and built again" in caplog.text


def test_a_seal_holds_what_was_sealed(tmp_path):
    path = tmp_path / "file"
    assert unseal(path) is None
    for data in (b"", b"some data" * 1_000):
        seal(path, Sealed(2**40, data))
        assert unseal(path) == Sealed(2**40, data)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


async def test_damage_under_an_open_index_is_an_error_and_mended_by_opening_again(
    store, whole, tmp_path
):
    folder, expected = whole
    copy = copied(folder, tmp_path / "copy")
    index = await SemanticIndex.open(store, copy)
    with (copy / "catalog.db").open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(0)
        file.write(b"\xff" * size)
    index._projection._catalog._connection.execute("PRAGMA shrink_memory")  # forget pages read
    with pytest.raises(IndexFailed, match="failed"):
        await index.documents(*range(1, 61))
    with suppress(IndexFailed):
        await index.aclose()
    assert (await answers(store, copy))[1] == expected

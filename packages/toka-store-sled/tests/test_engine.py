import threading

import pytest

from toka.store.sled._engine import Engine, EngineDamaged, EngineError, open_engine


@pytest.fixture(params=["leveldb", "rocksdb"])
def engine(request, tmp_path):
    opened = open_engine(request.param, tmp_path / "data", create=True)
    yield opened
    opened.close()


def put(engine: Engine, *keys: bytes) -> None:
    batch = engine.batch()
    for key in keys:
        batch.put(key, b"value of " + key)
    engine.write(batch)


def scanned(view, start: bytes, stop: bytes, *, backward: bool = False) -> list[bytes]:
    return [key for key, _ in view.scan(start, stop, backward=backward)]


def test_a_range_has_its_start_and_not_its_stop_in_both_directions(engine):
    keys = [b"%03d" % number for number in range(40)]
    put(engine, *keys)
    view = engine.view()
    for start, stop in [(b"005", b"030"), (b"", b"~"), (b"0055", b"0295"), (b"~", b"~~")]:
        expected = [key for key in keys if start <= key < stop]
        assert scanned(view, start, stop) == expected
        assert scanned(view, start, stop, backward=True) == expected[::-1]
    view.close()


def test_a_view_is_frozen_for_every_way_of_looking(engine):
    put(engine, b"a", b"b")
    view = engine.view()
    first = view.scan(b"a", b"z")
    next(first)
    batch = engine.batch()
    batch.delete(b"b")
    batch.put(b"a", b"other")
    batch.put(b"c", b"new")
    engine.write(batch)
    assert scanned(view, b"a", b"z") == [b"a", b"b"]
    assert [key for key, _ in first] == [b"b"]
    assert view.get(b"a") == b"value of a"
    assert view.get(b"c") is None
    view.close()
    later = engine.view()
    assert scanned(later, b"a", b"z", backward=True) == [b"c", b"a"]
    later.close()


def test_scans_of_one_view_do_not_disturb_each_other(engine):
    put(engine, *(b"%04d" % number for number in range(1_500)))
    view = engine.view()
    pairs = zip(view.scan(b"0", b"9"), view.scan(b"0", b"9", backward=True), strict=True)
    for number, ((low, _), (high, _)) in enumerate(pairs):
        assert int(low) == number
        assert int(high) == 1_499 - number
        assert view.get(low) == b"value of " + low
    view.close()


def test_a_closed_view_and_a_closed_engine_say_so(engine):
    put(engine, b"a")
    view = engine.view()
    view.close()
    with pytest.raises(EngineError):
        view.get(b"a")
    with pytest.raises(EngineError):
        scanned(view, b"a", b"b")
    engine.close()
    with pytest.raises(EngineError):
        engine.view()
    with pytest.raises(EngineError):
        put(engine, b"b")


@pytest.mark.parametrize("name", ["leveldb", "rocksdb"])
def test_what_was_removed_gives_its_room_back(name, tmp_path):
    engine = open_engine(name, tmp_path, create=True, sync=False)
    for removed in (False, True):
        batch = engine.batch()
        for number in range(100):
            key = b"%03d" % number
            batch.delete(key) if removed else batch.put(key, bytes(range(256)) * 40)
        engine.write(batch)
        engine.compact()
    assert sum(each.stat().st_size for each in tmp_path.glob("0*")) < 100_000
    engine.close()


@pytest.mark.parametrize("name", ["leveldb", "rocksdb"])
def test_an_engine_is_closed_when_it_is_done_with_merging(name, tmp_path):
    """Closing one below a merge ends the process."""
    for turn in range(5):
        engine = open_engine(name, tmp_path / str(turn), create=True, sync=False)
        put(engine, *(b"%06d" % number for number in range(20_000)))
        begun, errors = threading.Event(), []

        def merge(engine=engine, begun=begun, errors=errors):
            begun.set()
            try:
                engine.compact()
            except EngineError as error:
                errors.append(error)  # it was closed before

        thread = threading.Thread(target=merge)
        thread.start()
        begun.wait()
        engine.close()
        thread.join()
        assert not errors or "closed" in str(errors[0])


@pytest.mark.parametrize("name", ["leveldb", "rocksdb"])
def test_a_missing_engine_is_damage_and_is_not_made(name, tmp_path):
    with pytest.raises(EngineDamaged):
        open_engine(name, tmp_path / "data", create=False)

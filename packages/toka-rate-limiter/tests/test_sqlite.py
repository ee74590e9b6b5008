import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from toka.rate_limiter import (
    HOUR,
    MINUTE,
    SECOND,
    Action,
    Algorithm,
    InvalidLimitError,
    Limit,
    Limiter,
    MemoryStorage,
    SqliteStorage,
    StorageUnavailable,
)

KEY = {"key": "a"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "limits.db"


@pytest.fixture
def storage(path, clock):
    opened = SqliteStorage(path, clock, boot="first")
    yield opened
    opened.close()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_file_answers_as_memory_does(path, clock, algorithm):
    limits = [Limit("x", 3, MINUTE, algorithm=algorithm), Limit("y", 9, HOUR, shadow=True)]
    # The file's time starts anew, and windows begin at its multiples: keep the two in step.
    clock.advance(-clock.mono % HOUR)
    storage = SqliteStorage(path, clock, boot="first")
    file, memory = Limiter(limits, storage), Limiter(limits, MemoryStorage(clock))
    for step in range(24):
        clock.advance(5 * SECOND)
        if step % 7 == 6:
            assert file.refund(KEY).statuses == memory.refund(KEY).statuses
        cost = 1 + step % 2
        assert file.peek(KEY, cost).statuses == memory.peek(KEY, cost).statuses
        assert file.hit(KEY, cost).statuses == memory.hit(KEY, cost).statuses
    assert file.reset(KEY).statuses == memory.reset(KEY).statuses
    storage.close()


def test_limits_outlive_a_restart_of_the_process(path, clock):
    for expected in (2, 1, 0):
        storage = SqliteStorage(path, clock, boot="first")
        assert Limiter([Limit("x", 3, MINUTE)], storage).hit(KEY).remaining == expected
        storage.close()


@pytest.mark.parametrize("boots", [("first", "second"), ("", "")])
def test_a_restart_of_the_machine_gains_nothing_and_locks_nobody_out(path, clock, boots):
    before = SqliteStorage(path, clock, boot=boots[0])
    assert Limiter([Limit("x", 1, MINUTE)], before).hit(KEY).admitted
    before.close()
    clock.mono = 5 * SECOND  # The monotonic clock starts anew with the machine.
    after = SqliteStorage(path, clock, boot=boots[1])
    limiter = Limiter([Limit("x", 1, MINUTE)], after)
    assert limiter.hit(KEY).retry_after == MINUTE
    clock.advance(MINUTE)
    assert limiter.hit(KEY).admitted
    after.close()


def test_buckets_that_are_whole_again_are_deleted(storage, path, clock):
    limiter = Limiter([Limit("x", 1, SECOND)], storage)
    for index in range(100):
        clock.advance(SECOND // 10)
        limiter.hit({"key": str(index)})
    with sqlite3.connect(path) as reader:
        assert reader.execute("SELECT count(*) FROM bucket").fetchone()[0] < 15
    reader.close()


def test_a_full_file_refuses_newcomers_and_nobody_else(path, clock):
    storage = SqliteStorage(path, clock, max_keys=3, boot="first")
    limiter = Limiter([Limit("x", 5, MINUTE)], storage)
    assert [limiter.hit({"key": key}).admitted for key in "abcda"] == [
        True,
        True,
        True,
        False,
        True,
    ]
    clock.advance(MINUTE)
    assert limiter.hit({"key": "d"}).admitted
    storage.close()


def test_a_foreign_database_is_refused_and_left_alone(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE precious (id)")
    connection.close()
    with pytest.raises(StorageUnavailable, match="something else"):
        SqliteStorage(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("precious",)]
    connection.close()


def test_garbage_is_no_database(path):
    path.write_bytes(b"garbage" * 1_000)
    with pytest.raises(StorageUnavailable):
        SqliteStorage(path)


def test_a_foreign_state_refuses_and_a_reset_mends(storage, path):
    limit = Limit("x", 5, MINUTE)
    limiter = Limiter([limit], storage)
    limiter.hit(KEY)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE bucket SET state = 'x'")
    connection.close()
    with pytest.raises(StorageUnavailable):
        storage.apply(Action.HIT, [(limit, "a")], 1)
    assert not limiter.hit(KEY).admitted
    limiter.reset(KEY)
    assert limiter.hit(KEY).admitted


def test_a_closed_file_is_a_dead_storage(storage):
    storage.close()
    decision = Limiter([Limit("x", 5, MINUTE)], storage).hit(KEY)
    assert decision.degraded
    assert not decision.admitted


def test_many_threads_open_one_new_file(path):
    with ThreadPoolExecutor(8) as pool:
        for storage in pool.map(lambda _: SqliteStorage(path), range(8)):
            storage.close()


def test_a_file_without_room_is_refused(path):
    with pytest.raises(InvalidLimitError):
        SqliteStorage(path, max_keys=0)

"""What a service tells of keys and of what was taken back."""

from contextlib import closing

import pytest

from toka.cli._access_facts import DirectoryFacts
from toka.cli._data_directory import DataDirectory
from toka.revocation import Revocation, SqliteLog
from toka.types import SystemClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def data(tmp_path) -> DataDirectory:
    data = DataDirectory(tmp_path / "data")
    data.keys(SystemClock())
    return data


async def test_the_key_is_told_by_its_name_alone(data):
    (key,) = await DirectoryFacts(data).keys()
    assert (key.use, key.algorithm, key.until) == ("signs", "HS256", None)
    name, secret = data.key.read_text().split()[-2:]
    assert (key.key == name, secret in repr(key)) == (True, False)


async def test_what_was_taken_back_is_told_page_by_page(data):
    with closing(SqliteLog(data.revocations)) as log:
        await log.append(Revocation.of_token("a" * 32, reason="lost"), 100)
        await log.append(Revocation.of_subject("toka", "bob", issued_until=90), 101)
    facts = DirectoryFacts(data)
    first, second = await facts.revocations(0, 10)
    assert (first.kind, first.reason, first.issued_until) == ("token", "lost", None)
    assert first.revoked == "1970-01-01T00:01:40.000Z"
    assert (second.kind, second.target, second.vault) == ("subject", "bob", "toka")
    assert second.issued_until == "1970-01-01T00:01:30.000Z"
    assert [each.kind for each in await facts.revocations(first.revision, 1)] == ["subject"]
    assert await facts.revocations(second.revision, 1) == []

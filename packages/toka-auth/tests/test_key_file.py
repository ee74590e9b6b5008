import base64
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from toka.auth import KeyFile, KeyFileError, KeyFileMissing
from toka.capability.jwt_hs256 import Hs256Key


@pytest.fixture
def path(tmp_path):
    return tmp_path / "key"


def refused(path):
    with pytest.raises(KeyFileError) as caught:
        KeyFile.load_or_create(path)
    error = caught.value
    assert str(path) in str(error)
    assert error.hint
    return error


def test_a_key_is_made_once_and_read_ever_after(path):
    key, created = KeyFile.load_or_create(path)
    assert created
    assert KeyFile.load_or_create(path) == (key, False)
    assert KeyFile.load(str(path)) == key


def test_two_files_hold_two_keys(tmp_path):
    assert KeyFile.load_or_create(tmp_path / "a")[0] != KeyFile.load_or_create(tmp_path / "b")[0]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_the_file_is_the_owner_s_alone_whatever_the_umask(path, umask):
    before = os.umask(umask)
    try:
        KeyFile.load_or_create(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_missing_directories_are_made_for_the_owner(tmp_path):
    KeyFile.load_or_create(tmp_path / "a" / "key")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


def test_nothing_else_is_left_in_the_directory(path):
    KeyFile.load_or_create(path)
    KeyFile.load_or_create(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["key"]


def test_a_missing_file_is_an_error_only_when_reading(path):
    with pytest.raises(KeyFileMissing):
        KeyFile.load(path)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o602, 0o777])
def test_a_file_that_others_can_reach_is_refused(path, mode):
    KeyFile.load_or_create(path)
    path.chmod(mode)
    assert f"{mode:04o}" in str(refused(path))


def test_a_symbolic_link_is_refused_even_to_a_good_file(tmp_path, path):
    KeyFile.load_or_create(tmp_path / "real")
    path.symlink_to(tmp_path / "real")
    assert "symbolic link" in str(refused(path))


def test_a_dangling_link_is_not_written_through(tmp_path, path):
    path.symlink_to(tmp_path / "elsewhere")
    refused(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_and_a_pipe_are_refused_without_waiting(tmp_path, path):
    refused(tmp_path)
    os.mkfifo(path, 0o600)
    assert "regular" in str(refused(path))


def test_another_owner_is_refused(path, monkeypatch):
    KeyFile.load_or_create(path)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert f"user {owner}" in str(refused(path))


def test_every_changed_missing_or_added_byte_is_found(path):
    KeyFile.load_or_create(path)
    good = path.read_bytes()
    for position in range(len(good)):
        for bad in (
            good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :],
            good[:position] + good[position + 1 :],
            good[:position],
            good[:position] + b"\n" + good[position:],
        ):
            path.write_bytes(bad)
            with pytest.raises(KeyFileError, match="damaged"):
                KeyFile.load(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff" * 100, b"x" * 100_000, b"secret\n"])
def test_other_content_is_refused_and_stays(path, content):
    path.write_bytes(content)
    path.chmod(0o600)
    assert "damaged" in str(refused(path))
    assert path.read_bytes() == content


def test_a_damaged_file_does_not_show_its_secret(path):
    key, _ = KeyFile.load_or_create(path)
    secret = path.read_text().splitlines()[2]
    path.write_text(path.read_text().replace("toka", "taka"))
    error = refused(path)
    assert secret not in str(error) + repr(error.details)
    assert error.__cause__ is None
    assert key.kid not in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written_is_said_so(tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert "cannot be made" in str(refused(tmp_path / "key"))
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_place_of_a_directory_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be" in str(refused(tmp_path / "file" / "key"))


def test_threads_that_race_get_one_key(path):
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: KeyFile.load_or_create(path), range(64)))
    assert len({key for key, _ in made}) == 1
    assert sum(created for _, created in made) == 1


def test_processes_that_race_get_one_key(path):
    program = (
        "import sys; from toka.auth import KeyFile; print(KeyFile.load_or_create(sys.argv[1]))"
    )
    runs = [
        subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    printed = [run.communicate()[0] for run in runs]
    kid = KeyFile.load(path).kid
    assert all(kid in line for line in printed)
    assert sum("True" in line for line in printed) == 1


def test_a_failed_write_leaves_nothing_behind(path, monkeypatch):
    def fail(_):
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "fsync", fail)
    assert "No space" in str(refused(path))
    assert list(path.parent.iterdir()) == []


def test_a_file_holds_any_key_that_its_owner_writes_in_its_form(path):
    key = Hs256Key.from_bytes(bytes(range(200)))
    secret = base64.urlsafe_b64encode(key.unsafe_secret()).decode()
    path.write_text(f"toka-hs256-key-1\n{key.kid}\n{secret}\n")
    path.chmod(0o600)
    assert KeyFile.load(path) == key

"""Data directories that cannot be used: said plainly, nothing written."""

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
from pathlib import Path

import pytest


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def specification(toka, tmp_path):
    toka("init", tmp_path / "agents")
    return tmp_path / "agents" / "agent.yaml"


@pytest.mark.usefixtures("data")
def test_in_use_by_another_process(toka, specification, command):
    holder = subprocess.Popen(  # noqa: S603
        [*command, "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        result = toka("run", specification)
        assert result.status == 3
        assert f"process {holder.pid}" in result.err
        assert "[store.locked]" in result.err
        assert toka("status").status == 0
        assert toka("events").status == 0
    finally:
        holder.send_signal(signal.SIGTERM)
        holder.communicate()


def test_of_a_newer_version(toka, data, specification):
    connection = sqlite3.connect(data / "log.db")
    connection.execute("PRAGMA user_version = 99")
    connection.commit()
    connection.close()
    for path in data.glob("log.db-*"):
        path.unlink()
    before = contents(data)
    for command in (("run", specification), ("status",), ("replay",)):
        result = toka(*command)
        assert result.status == 3
        assert "format 99" in result.err
        assert "Upgrade" in result.err
    finding = next(each for each in toka("doctor", "--json").json if each["check"] == "log")
    assert finding["state"] == "fault"
    assert "Upgrade" in finding["remedy"]
    assert contents(data) == before


def test_read_only(data, specification, command):
    """Root may write anywhere, so the command runs without that right."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0 and setpriv is None:
        pytest.skip("root may write anywhere, and there is no setpriv to give that up with")
    allowed = ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    before = contents(data)
    start = [setpriv, *allowed, *command] if os.geteuid() == 0 and setpriv else command
    folders = [data, *(path for path in data.rglob("*") if path.is_dir())]
    for path in data.rglob("*"):
        if path.is_file() and "keys" not in path.parts:
            path.chmod(0o400)
    for path in folders:
        path.chmod(0o500)
    try:
        how = {"capture_output": True, "text": True, "cwd": data.parent}
        run = subprocess.run([*start, "run", str(specification), "--fresh"], check=False, **how)  # noqa: S603
        looked = subprocess.run([*start, "status"], check=False, **how)  # noqa: S603
        doctor = subprocess.run([*start, "doctor"], check=False, **how)  # noqa: S603
    finally:
        for path in folders:
            path.chmod(0o700)
    assert run.returncode == 3, run.stderr
    assert "Traceback" not in run.stderr
    assert looked.returncode == 0, looked.stderr
    assert doctor.returncode == 1
    assert "cannot be written to" in doctor.stdout
    assert contents(data) == before


def test_a_file_where_the_directory_should_be(toka, specification, tmp_path):
    (tmp_path / "file").write_text("")
    result = toka("run", specification, "--data-dir", tmp_path / "file")
    assert result.status == 3
    assert "cannot be made" in result.err
    assert toka("doctor", "--data-dir", tmp_path / "file").status == 1


def test_a_foreign_file_is_left_alone(toka, specification, tmp_path):
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "log.db").write_bytes(b"not ours" * 100)
    before = (folder / "log.db").read_bytes()
    result = toka("run", specification, "--data-dir", folder)
    assert result.status == 3
    assert "is not an event store" in result.err
    assert (folder / "log.db").read_bytes() == before


def test_no_flipped_byte_is_believed(toka, finished, tmp_path):
    """An error that names the damage, or the very same state."""
    sound = toka("replay", "--verify", "--json", "--data-dir", finished).json
    original = (finished / "log.db").read_bytes()
    folder = tmp_path / "flipped"
    folder.mkdir()
    shutil.copy(finished / "log.db.head", folder)
    # Most of a small database is unused space, which is all zeros.
    written = [offset for offset, byte in enumerate(original) if byte]
    refused = 0
    for offset in written[:: len(written) // 100]:
        damaged = bytearray(original)
        damaged[offset] ^= 0x21
        (folder / "log.db").write_bytes(damaged)
        result = toka("replay", "--verify", "--json", "--data-dir", folder)
        if result.status == 0:
            found = result.json
            assert (found["events"], found["digest"]) == (sound["events"], sound["digest"]), offset
        else:
            refused += 1
            assert result.status == 3, (offset, result.err)
            assert "Traceback" not in result.err
            assert "\n" not in result.err.rstrip()
        assert (folder / "log.db").read_bytes() == bytes(damaged)
    assert refused > 80


def test_a_flipped_byte_of_a_payload_is_located(toka, data):
    log = data / "log.db"
    damaged = bytearray(log.read_bytes())
    place = damaged.rindex(b"Count the files")
    damaged[place] ^= 1
    log.write_bytes(damaged)
    result = toka("doctor")
    assert result.status == 1
    assert "vent" in result.out
    assert "Copy a backup over" in result.out
    assert log.read_bytes() == bytes(damaged)
    assert toka("replay", "--verify").status == 3


def test_a_log_that_was_cut_is_found(toka, data):
    log = data / "log.db"
    log.write_bytes(log.read_bytes()[:-4_096])
    assert toka("replay", "--verify").status == 3
    assert toka("doctor").status == 1


def test_a_key_that_others_can_read_is_refused(toka, data, specification):
    key = data / "keys" / "token.key"
    key.chmod(0o644)
    result = toka("run", specification, "--fresh")
    assert result.status == 3
    assert "can be reached by others" in result.err
    assert stat.S_IMODE(key.stat().st_mode) == 0o644
    assert toka("doctor").status == 1


def test_a_flipped_byte_of_the_key_is_found(toka, data):
    key = data / "keys" / "token.key"
    damaged = bytearray(key.read_bytes())
    damaged[-5] ^= 1
    key.write_bytes(damaged)
    assert toka("token", "mint", "--subject", "me", "--permission", "fs:read:/a").status == 3
    findings = {each["check"]: each for each in toka("doctor", "--json").json}
    assert findings["key"]["state"] == "fault"

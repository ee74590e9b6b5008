import json
import sys
import time
import tracemalloc

import pytest

from toka.performance import (
    InvalidFigure,
    NotInstalled,
    UnreadableResult,
    profile_cpu,
    profile_memory,
    read_recording,
    record,
    report_recording,
)


def busy(seconds=0.05):
    limit = time.process_time() + seconds
    while time.process_time() < limit:
        pass


def valid_speedscope(text):
    """Return the profile of a file, after checking what speedscope's schema demands."""
    document = json.loads(text)
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = document["shared"]["frames"]
    assert all(isinstance(frame["name"], str) for frame in frames)
    profile = document["profiles"][0]
    if profile["type"] == "sampled":
        assert len(profile["samples"]) == len(profile["weights"])
        assert all(0 <= number < len(frames) for each in profile["samples"] for number in each)
        assert sum(profile["weights"]) == profile["endValue"]
    else:
        opened = []
        for event in profile["events"]:
            if event["type"] == "O":
                opened.append(event["frame"])
            else:
                assert opened.pop() == event["frame"]
        assert opened == []
    return document


def test_a_profile_of_the_processor_names_what_was_busy(tmp_path):
    with profile_cpu() as profile:
        busy()

    assert profile.samples > 5
    assert "busy" in profile.text()
    assert "<html" in profile.html()
    names = [frame["name"] for frame in valid_speedscope(profile.speedscope())["shared"]["frames"]]
    assert "busy" in names
    for name in ("a.json", "a.html", "a.txt"):
        profile.save(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 100


def test_a_form_that_there_is_not_is_refused(tmp_path):
    with profile_cpu() as sampled, profile_memory() as held:
        pass
    for profile in (sampled, held):
        with pytest.raises(InvalidFigure, match="doc"):
            profile.save(tmp_path / "a.doc")


def test_without_the_extra_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyinstrument", None)

    with pytest.raises(NotInstalled, match=r"toka-performance\[profile\]"), profile_cpu():
        pass


def test_a_profile_of_memory_names_the_line_that_holds_it():
    with profile_memory() as profile:
        held = [bytes(10_000) for _ in range(50)]
        lost = [bytes(10_000) for _ in range(100)]
        del lost

    assert len(held) == 50
    assert 500_000 < profile.size < 600_000
    assert profile.peak > 1_500_000
    file, _ = profile.growth[0].stack[-1]
    assert file == __file__
    assert profile.growth[0].count >= 50
    assert __file__ in profile.text().splitlines()[1]
    assert valid_speedscope(profile.speedscope())["profiles"][0]["unit"] == "bytes"


def test_what_is_given_back_is_told_as_less():
    before = []
    with profile_memory() as profile:
        before += [bytes(1000) for _ in range(10)]
        before.clear()

    assert profile.size < 5000


def test_memory_is_traced_once_and_left_alone_afterwards():
    with profile_memory(), pytest.raises(InvalidFigure, match="already"), profile_memory():
        pass

    assert not tracemalloc.is_tracing()


def test_a_recording_is_written_and_reported(tmp_path):
    recording = record(busy, tmp_path / "r", name="busy work")

    assert recording.seconds >= recording.cpu_seconds * 0.5
    assert recording.cpu_seconds >= 0.03
    assert read_recording(tmp_path / "r") == recording
    assert {path.name for path in (tmp_path / "r").iterdir()} == {
        *("recording.json", "cpu.speedscope.json", "cpu.html", "cpu.txt")
    }
    report = report_recording(tmp_path / "r")
    assert report.startswith("busy work")
    assert "busy" in report


def test_what_fails_is_recorded_too(tmp_path):
    def fail():
        busy(0.01)
        raise KeyError("lost")

    with pytest.raises(KeyError):
        record(fail, tmp_path, name="failing", memory=True)

    assert read_recording(tmp_path).name == "failing"
    assert "KiB" in report_recording(tmp_path)


def test_a_folder_without_a_recording_is_named(tmp_path):
    with pytest.raises(UnreadableResult, match="holds no recording"):
        read_recording(tmp_path / "gone")
    (tmp_path / "recording.json").write_text('{"recording": {"name": 1}}')
    with pytest.raises(UnreadableResult):
        read_recording(tmp_path)

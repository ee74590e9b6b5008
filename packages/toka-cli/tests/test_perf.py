"""`toka perf`, and processes that are observed."""

import json
import os
import subprocess
import sys

from toka.cli import main


def test_a_command_is_recorded_into_files_that_a_person_opens(toka, tmp_path):
    # In a process of its own, the imports alone keep the processor at work.
    command = [sys.executable, "-m", "toka.cli", "perf", "record", "--folder", "seen"]
    found = subprocess.run(  # noqa: S603 - our own program
        [*command, "init", "agents"], cwd=tmp_path, check=True, capture_output=True, text=True
    )

    assert (tmp_path / "agents").is_dir()
    assert "see seen" in found.stderr
    frames = json.loads((tmp_path / "seen" / "cpu.speedscope.json").read_text())["shared"]["frames"]
    assert "main" in {frame["name"] for frame in frames}
    assert "<html" in (tmp_path / "seen" / "cpu.html").read_text()
    shown = toka("perf", "report", "seen").out
    assert shown.startswith("toka init agents, ")
    assert "s of processor" in shown


def test_memory_is_recorded_by_the_lines_that_took_it(toka):
    assert toka("perf", "record", "--memory", "init", "agents").status == 0

    assert " blocks  " in toka("perf", "report").out


def test_the_exit_status_is_that_of_the_command(toka):
    found = toka("perf", "record", "run", "nothing-there")

    assert found.status == 2
    assert toka("perf", "report").status == 0


def test_options_of_the_command_are_its_own(toka):
    found = toka("perf", "record", "tools", "list", "--json")

    assert found.status == 0
    assert "read_file" in {each["name"] for each in json.loads(found.out)}


def test_a_folder_without_a_recording_is_said_to_be_none(toka):
    found = toka("perf", "report", "nowhere")

    assert found.status == 2
    assert "[performance.unreadable_result]" in found.err


def test_nothing_of_opentelemetry_is_imported_unless_it_is_asked_for(tmp_path):
    assert main(["init", str(tmp_path / "agents")]) == 0
    code = (
        "import sys; from toka.cli import main;"
        "status = main(['run', 'agents', '--input', 'target=agents']);"
        "sys.exit(status or any('opentelemetry' in name for name in sys.modules))"
    )
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", code], check=True, env=os.environ | asked
    )


def test_a_wrong_variable_is_said_in_a_sentence(toka, tmp_path, monkeypatch):
    assert main(["init", str(tmp_path / "agents")]) == 0
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "not a URL")
    found = toka("run", "agents", "--input", "target=agents")

    assert found.status == 2
    assert "[performance.telemetry]" in found.err

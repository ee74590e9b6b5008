from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import toka.performance as face


def imports(*, later: bool) -> dict[str, str]:
    tree = ast.parse(Path(face.__file__).read_text())
    (deferred,) = (each for each in tree.body if isinstance(each, ast.If))
    found = (deferred if later else tree).body
    return {
        name.name: each.module or ""
        for each in found
        if isinstance(each, ast.ImportFrom) and (each.module or "").startswith("toka.")
        for name in each.names
    }


def test_all_lists_exactly_the_public_names():
    assert face.__all__ == sorted(face.__all__, key=lambda name: (not name.isupper(), name))
    assert set(face.__all__) == {*imports(later=False), *imports(later=True)}
    assert {name for name in dir(face) if not name.startswith("_")} == set(face.__all__)


@pytest.mark.parametrize("name", face.__all__)
def test_a_name_is_what_a_type_checker_takes_it_for(name):
    module = {**imports(later=False), **imports(later=True)}[name]
    assert getattr(face, name) is getattr(import_module(module), name)


def test_a_name_that_is_not_there_is_refused_as_by_any_module():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = face.nothing


def test_to_be_observed_imports_nothing_that_only_works_on_figures():
    code = """
import sys
from toka.performance import TelemetrySettings, Queues, observe_machine, observe_process
from toka.performance import start_telemetry, watch_event_loop
start_telemetry(TelemetrySettings(service="x", otlp="http://127.0.0.1:9")).tracing("x")
print(*sorted(name for name in sys.modules))
"""
    made = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    names = made.stdout.split()
    assert "toka.performance._telemetry" in names
    assert not set(names) & {f"toka.performance.{each}" for each in face._LATER}
    assert not set(names) & {"statistics", "http.server", "requests", "google.protobuf"}

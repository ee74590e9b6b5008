from __future__ import annotations

from pathlib import Path

import pytest

from toka.tools import InvalidManifestError, load_manifest, parse_manifest
from toka.tools.manifests._units import parse_bytes, parse_duration, parse_percent
from toka.types import NANOSECONDS

ORIGINALS = Path(__file__).parents[4] / "shared" / "data" / "original" / "manifests"

MINIMAL = """
metadata: {name: t, version: "1", description: d, created: "2025-07-06"}
spec:
  executable: {type: python, path: x.py}
  parameters:
    - {name: mode, type: enum, values: [a, b], default: a}
    - {name: count, type: integer, required: true, description: How many}
"""


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="the original's manifests are not here")
@pytest.mark.parametrize(
    ("name", "level", "memory", "cpu", "minutes"),
    [
        ("control-flow-analyzer", "high", 512, 50, 10),
        ("dependency-visualizer", "high", 512, 75, 15),
        ("raft-analyzer", "medium", 256, 30, 5),
        ("date-validator", "medium", 256, 25, 5),
    ],
)
def test_the_originals_load_as_they_are(
    name: str, level: str, memory: int, cpu: int, minutes: int
) -> None:
    loaded = load_manifest(ORIGINALS / f"{name}.yaml")
    manifest = loaded.manifest
    assert (manifest.metadata.name, manifest.spec.security.level) == (name, level)
    assert manifest.limits.max_memory_bytes == memory << 20
    assert manifest.limits.max_cpu_percent == cpu
    assert manifest.timeout_ns == minutes * 60 * NANOSECONDS
    assert "The protocol a2a has no version; any is taken." in loaded.warnings
    assert len(manifest.parameters["properties"]) == 4  # type: ignore[arg-type] # a dictionary


def test_parameters_become_a_schema() -> None:
    loaded = parse_manifest(MINIMAL)
    assert loaded.warnings == ()
    assert loaded.manifest.parameters == {
        "type": "object",
        "properties": {
            "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "count": {"type": "integer", "description": "How many"},
        },
        "required": ["count"],
        "additionalProperties": False,
    }


BOMB = 'a: &a ["x","x"]\nb: &b [*a,*a]\nc: [*b,*b]\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no mapping"),
        ("- a", "no mapping"),
        ("a: [", "m.yaml:1:"),
        ("a: b: c", "m.yaml:1:5"),
        ("\tx: 1", "m.yaml:1:1"),
        ("\0", "not YAML"),
        (BOMB, "aliases"),
        ("metadata: {}\nmetadata: {}", "m.yaml:2:1: the key 'metadata' stands here twice"),
        ("a: !!python/object/apply:os.system [id]", "m.yaml:1:4"),
        (
            MINIMAL.replace("path: x.py", "pth: x.py"),
            "m.yaml:4:30: $.spec.executable has the unknown key 'pth'. Did you mean 'path'",
        ),
        (
            MINIMAL.replace("values:", "vals:"),
            "m.yaml:6:32: $.spec.parameters[0] has the unknown key 'vals'",
        ),
        (MINIMAL.replace("type: python", "type: cobol"), "m.yaml:4:16: Invalid enum value"),
        (MINIMAL.replace('version: "1"', "version: 1"), "m.yaml:2:21: Expected `str`, got `int`"),
        (MINIMAL + "  security: {sandbox: {timeout: 5 weeks}}", "'5 weeks' is not a duration"),
        (MINIMAL.replace("name: mode", "name: --mode"), "m.yaml:6:8: '--mode' names no parameter"),
        (MINIMAL + "# " + "x" * 70_000, "longer than"),
        ("[" * 60_000, "m.yaml:1:33: nested deeper"),
    ],
)
def test_a_bad_manifest_is_answered_with_file_and_place(text: str, told: str) -> None:
    with pytest.raises(InvalidManifestError) as caught:
        parse_manifest(text, "m.yaml")
    assert told in str(caught.value)
    assert "m.yaml" in str(caught.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidManifestError):
        parse_manifest(b"\xff\xfe\xfa")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(InvalidManifestError, match="cannot be read"):
            load_manifest(path)


def test_what_is_vague_is_warned_about() -> None:
    text = MINIMAL.replace(", default: a", "").replace(', created: "2025-07-06"', "")
    text += "  security: {sandbox: {allow_network: true}}\n"
    warnings = parse_manifest(text).warnings
    assert len(warnings) == 4
    assert any("mode" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("text", "value"),
    [("512MB", 512 << 20), ("1 GB", 1 << 30), ("10", 10_240), ("7b", 7), ("2KiB", 2048)],
)
def test_sizes(text: str, value: int) -> None:
    assert parse_bytes(text) == value


@pytest.mark.parametrize(("text", "value"), [("50%", 50), ("0.75", 75), ("90", 90), ("100%", 100)])
def test_shares(text: str, value: float) -> None:
    assert parse_percent(text) == value


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("90", 90), ("1.5h", 5400), ("250ms", 0.25)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds * NANOSECONDS


@pytest.mark.parametrize("text", ["", "MB", "5 weeks", "-1MB", "1e9", "1,5GB", "nan"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    for parse in (parse_bytes, parse_percent, parse_duration):
        with pytest.raises(InvalidManifestError):
            parse(text)

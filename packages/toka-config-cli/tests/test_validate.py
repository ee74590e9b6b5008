"""`toka-config validate` and `toka-config schema`, as a person types them."""

import json
from pathlib import Path

import jsonschema
import pytest

from toka.config_cli import main

AGENT = "metadata:\n  name: one\ntasks:\n  default:\n    - description: do\n"


@pytest.fixture(autouse=True)
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "good.yaml").write_text(AGENT)
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    found = main(list(arguments))
    out, err = capsys.readouterr()
    assert found == status, out + err
    return out or err


def test_a_folder_is_checked_and_each_fault_has_its_place(
    agents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, "validate", "agents/") == "agents/good.yaml: agent-spec, 2 keys\n"
    (agents / "bad.yaml").write_text(
        AGENT.replace("name: one", "nmae: one") + "      priority: hi\n"
    )
    (agents / "broken.yaml").write_text("a: [1\nb: 2\n")
    shown = said(capsys, "validate", "agents/", "--quiet", status=1).splitlines()
    assert shown == [
        (
            "agents/bad.yaml:2:3: metadata.nmae: The key 'nmae' is not known here."
            " Did you mean 'name'?"
        ),
        (
            "agents/bad.yaml:6:17: tasks.default[0].priority: 'hi' is none of critical, high,"
            " medium, low. Did you mean 'high'?"
        ),
        shown[-1],
    ]
    assert shown[-1].startswith("agents/broken.yaml:2:2: This is not YAML")


def test_faults_can_be_read_by_programs(agents: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (agents / "good.yaml").write_text(AGENT + "secruity: {}\n")
    found = json.loads(said(capsys, "validate", "agents", "-o", "json", status=1))
    (fault,) = found[0]["faults"]
    assert (fault["line"], fault["column"], fault["path"]) == (6, 1, "secruity")
    assert found[0]["valid"] is False


def test_toml_and_json_are_checked_with_places_of_their_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("agents.toml").write_text(
        "[orchestration]\nmax_concurrent_agents = 0\n\n[[agents]]\nname = 'a'\n"
        "[[agents.tasks.default]]\ndescription = 'do'\npriorty = 'low'\n"
    )
    shown = said(capsys, "validate", "agents.toml", status=1)
    assert "agents.toml:2:1: orchestration.max_concurrent_agents: 0 is not accepted" in shown
    assert "agents.toml:8:1: agents[0].tasks.default[0].priorty: " in shown
    Path("a.json").write_text('{\n  "name": "a",\n  "tasks": []\n}\n')
    assert "a.json:3:12: tasks: " in said(capsys, "validate", "a.json", status=1)


def test_every_document_of_a_stream_is_checked(
    agents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (agents / "good.yaml").write_text(f"{AGENT}---\n{AGENT}bugdet: 1\n---\n{AGENT}secruity: {{}}\n")
    assert "good.yaml:19:1: " in said(capsys, "validate", "agents", "-q", status=1)


def test_a_file_that_no_schema_is_known_for_is_only_parsed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("other.yaml").write_text("x: 1\n")
    assert "no schema is known" in said(capsys, "validate", "other.yaml")
    said(capsys, "validate", "other.yaml", "--schema", "agent-spec", status=1)
    Path("own.json").write_text('{"properties": {"x": {"type": "string"}}}')
    shown = said(capsys, "validate", "other.yaml", "--schema", "own.json", status=1)
    assert shown == "other.yaml:1:4: x: Text is expected here, not the number 1.\n"
    assert "Did you mean" in said(capsys, "validate", "other.yaml", "-s", "agent-spek", status=2)


def test_schemas_are_listed_printed_and_exported(capsys: pytest.CaptureFixture[str]) -> None:
    listed = said(capsys, "schema")
    for name in ("agent-spec", "tool-manifest", "llm-prices"):
        assert name in listed
        jsonschema.Draft202012Validator.check_schema(json.loads(said(capsys, "schema", name)))
    assert main(["schema", "--export", "schemas"]) == 0
    assert main(["schema", "--export", "schemas"]) == 0
    found = {path.name for path in Path("schemas").iterdir()}
    assert {"agent-spec.json", "tool-manifest.json", "llm-prices.json"} <= found
    assert "Did you mean 'agent-spec'" in said(capsys, "schema", "agent-spex", status=2)

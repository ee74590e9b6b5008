"""The files in `config/` say what the programs read and take, and nothing else."""

import configparser
import re
import shlex
from pathlib import Path

from toka.cli._serve import command as serve
from toka.cli._service_config import read_service_config
from toka.config_cli import main as toka_config

_ROOT = Path(__file__).resolve().parent.parent
_CONFIG = _ROOT / "config"
_SETTING = re.compile(r"\bTOKA_(?:LLM_[A-Z_]+[A-Z]|URL|TOKEN)\b")


def _settings_read_by(*packages: str) -> set[str]:
    found: set[str] = set()
    for package in packages:
        for file in (_ROOT / "packages" / package / "src").rglob("*.py"):
            found |= set(_SETTING.findall(file.read_text()))
    return found


def test_the_environment_file_names_every_setting_and_no_other() -> None:
    names = re.findall(r"^#(TOKA_\w+)=", (_CONFIG / "toka.env").read_text(), re.MULTILINE)
    assert len(names) == len(set(names))
    assert set(names) == _settings_read_by("toka-llm-gateway", "toka-cli")


def test_the_unit_starts_what_the_command_takes() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read(_CONFIG / "toka.service")
    program, subcommand, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert Path(program).name == "toka"
    assert subcommand == "serve"
    known = {option for parameter in serve.params for option in parameter.opts}
    assert {word for word in arguments if word.startswith("--")} <= known


def test_the_settings_of_a_service_are_read_and_fit_their_schema(tmp_path: Path) -> None:
    text = (_CONFIG / "service.toml").read_text()
    for each in (text, re.sub(r"^#(?=[\w\[])", "", text, flags=re.MULTILINE)):
        file = tmp_path / "service.toml"
        file.write_text(each)
        file.chmod(0o600)
        assert read_service_config(file).limits.runs_at_once == 64
        assert toka_config(["validate", str(file), "--quiet"]) == 0

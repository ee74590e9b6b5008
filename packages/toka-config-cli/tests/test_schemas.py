"""The published schemas say what the readers of Toka's files do, no more and no less.

A schema cannot say everything: expressions, names that are there twice, and rules between two keys
are the readers' alone. `BEYOND` names them; in all else both must give the same answer.
"""

import copy
import json
import os
import tempfile
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toka.cli._errors import IdentitiesUnusable, ServiceConfigUnusable
from toka.cli._identities import read_identities
from toka.cli._service_config import read_service_config
from toka.config_cli import load
from toka.config_cli._checker import exact_data, faults
from toka.config_cli._schemas import SCHEMAS, recognise, schema_of
from toka.config_cli._toml import write_toml
from toka.llm_gateway import ConfigurationInvalid, PriceTable
from toka.orchestration import SpecError, parse_specs
from toka.tools import InvalidManifestError, parse_manifest
from toka.tools.mcp.client import InvalidServerError, parse_servers, servers_schema

ROUNDS = int(os.environ.get("TOKA_CONFIG_ROUNDS", "60"))
ROOT = Path(__file__).parents[3]
ORIGINAL = ROOT.parent / "shared" / "data" / "original"
BEYOND = (
    "is not an expression",
    "is not a permission",
    "expression that does not end",
    "Only a step with 'for_each'",
    "No agent is defined here",
    "are called",
    "have the id",
    "is declared twice",
    "two names of one thing",
    "steps or an entry, not both",
    "uses no model",
    "Only a task with steps has outputs",
    "longest wait is shorter",
    "needs no default",
    "what no token can hold",
)

AGENT = {
    "metadata": {"name": "one", "version": "v1.0.0", "created": "2025-07-10"},
    "spec": {"name": "One", "domain": "security", "priority": "high", "description": "d"},
    "capabilities": {"primary": ["a"], "secondary": "b"},
    "objectives": [
        {"description": "o", "deliverable": "d", "validation": "v", "check": "inputs.target != ''"}
    ],
    "tasks": {
        "default": [
            {
                "id": "first",
                "description": "do",
                "steps": [
                    {"tool": "t", "with": {"a": [1, "x"]}, "as": "found", "retry": {"attempts": 2}},
                    {"tool": "u", "for_each": [1], "when": True, "concurrency": 2, "timeout": "5s"},
                ],
                "outputs": {"n": "${found}"},
                "timeout": "2h30m",
            },
            {
                "description": "think",
                "depends_on": ["first"],
                "model": {"name": "m", "max_turns": 3, "temperature": 0.5, "tools": ["t"]},
                "retry": {"attempts": 3, "initial": "1s", "longest": 60, "factor": 2},
                "budget": {"money": 1.5, "tokens": 1000, "calls": 3},
                "in_doubt": "ask",
            },
        ],
        "conditional": {"deep": [{"description": "more", "entry": "pkg.mod:run"}]},
    },
    "dependencies": {"required": {"two": "why"}, "optional": ["three"]},
    "reporting": {
        "frequency": "daily",
        "channels": ["main-agent"],
        "metrics": [{"name": "m", "description": "d", "type": "gauge"}, {"n": "text"}],
    },
    "security": {
        "sandbox": True,
        "capabilities_required": ["fs:read:docs/**"],
        "resource_limits": {"max_memory": "512MB", "max_cpu": "50%", "timeout": 30},
    },
    "inputs": {"target": {"type": "path", "default": "."}, "deep": {"type": "boolean"}},
    "restart": {"policy": "on_failure", "max_restarts": 3, "within": "1h"},
    "model": "m",
    "budget": {"tokens": 5},
    "x-notes": {"anything": [1, None]},
}
SET = {
    "orchestration": {"max_concurrent_agents": 8, "agent_spawn_timeout": 30},
    "security": {"sandbox_enabled": True, "resource_limits": {"max_cpu": "0.5"}},
    "agents": [
        {
            "name": "one",
            "domain": "d",
            "priority": "critical",
            "tasks": {"default": [{"description": "do", "dependencies": []}]},
        },
        {
            "name": "two",
            "tasks": {"default": [{"description": "do", "entry": "a:b"}]},
            "restart": "always",
            "inputs": [{"name": "target", "required": True}],
        },
    ],
}
MANIFEST = {
    "metadata": {"name": "t", "version": "1.0.0", "description": "d", "created": "2025-07-11"},
    "spec": {
        "executable": {"type": "python", "path": "x.py", "interpreter": "python3"},
        "capabilities": {"required": ["filesystem-read"], "optional": []},
        "security": {
            "level": "high",
            "sandbox": {
                "memory_limit": "256MB",
                "cpu_limit": "30%",
                "timeout": "5m",
                "allow_network": False,
                "readonly_paths": ["src/**"],
            },
        },
        "parameters": [
            {"name": "p", "type": "enum", "values": ["a", "b"], "required": False, "default": "a"}
        ],
    },
    "interface": {
        "discovery": {"auto_discover": True, "patterns": ["*.py"]},
        "execution": {"hot_swappable": True},
        "integration": {"agent_types": ["x"]},
    },
    "protocols": [{"type": "mcp", "function_name": "f", "version": "1.0"}],
    "outputs": {"primary": [{"type": "report", "formats": ["json"]}], "metrics": ["m"]},
    "dependencies": {"system": ["git"], "python": []},
}
PRICES = {
    "dated": "2026-11-01",
    "one": {
        "m": {"input": 3, "output": "15.25", "cache_read": 0.3},
        "n": {
            "input": 1,
            "output": 2,
            "long_above": 200000,
            "long": {"input": 2, "output": 4},
        },
        "o": {
            "context_window": 200000,
            "max_output_tokens": 8192,
            "modalities": ["text", "image"],
            "tools": True,
        },
    },
}


def agents_refuse(text, name):
    """Return the sentences of the reader's faults that a schema can know."""
    try:
        parse_specs(text.encode(), name)
    except SpecError as error:
        return [
            str(each) for each in error.errors if not any(words in str(each) for words in BEYOND)
        ], [str(each) for each in error.errors]
    return [], []


def manifests_refuse(text, name):
    del name
    try:
        parse_manifest(text)
    except InvalidManifestError as error:
        return [str(error)], [str(error)]
    return [], []


def prices_refuse(text, name):
    del name
    try:
        PriceTable.parse(text)
    except ConfigurationInvalid as error:
        return [str(error)], [str(error)]
    return [], []


def private_files_refuse(read, kind):
    """Return the judge of a file that only its owner may write."""

    def refuse(text, name):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_text(text)
            path.chmod(0o600)
            try:
                read(path)
            except kind as error:
                beyond = any(words in str(error) for words in BEYOND)
                return [] if beyond else [str(error)], [str(error)]
        return [], []

    return refuse


def mcp_servers_refuse(text, name):
    try:
        parse_servers(load(text, name.rpartition(".")[2]).data())
    except InvalidServerError as error:
        return [str(error)], [str(error)]
    return [], []


READERS = {
    "mcp-servers": mcp_servers_refuse,
    "identities": private_files_refuse(read_identities, IdentitiesUnusable),
    "service": private_files_refuse(read_service_config, ServiceConfigUnusable),
    "agent-spec": agents_refuse,
    "tool-manifest": manifests_refuse,
    "llm-prices": prices_refuse,
}


def schema_refuses(text, format_, name):
    document = load(text, format_)
    return [
        f"{fault.line}:{fault.column} {fault.path} {fault.message}"
        for fault in faults(document, exact_data(document), schema_of(name))
    ]


def agree(name, text, format_="yaml"):
    """Hold the schema to what the reader says."""
    said, all_said = READERS[name](text, f"x.{format_}")
    found = schema_refuses(text, format_, name)
    if said:
        assert found, f"only the reader refuses: {said}\n{text}"
    elif not all_said:
        assert not found, f"only the schema refuses: {found}\n{text}"
    return found


# Not among them: a blank around a word of a list, which the reader cuts off, and numbers written
# with an exponent or as -0 where a quantity stands, which the reader takes as they are written.
PLAIN = [
    "-1", "0", "1", "10001", "0.5", "2.5", "1.0", "null", "~", "true", "hello", "''", "[]", "{}",
    "[a]", "[1]", "[{}]", "{a: b}", "[{a: b}]", "'5m'", "'5 m'", "'50%'", "'0%'", "'512MB'",
    "'1.5 GiB'", "'-1s'", "'1h30m'", "'0.5'", "'high'", "'low'", "'skip'", "'a b'", "'pkg:f'",
    "'x.y'", "'*'", "'${inputs.target}'", "'item'",
]  # fmt: skip
VAGUE = [
    "on", "No", "y", "012", "0x1f", "0o7", "1:30", "1_000", "2025-01-01", "1e3", "1.", "+1", ".5",
    ".inf", ".nan", "[on]", "{a: on}",
]  # fmt: skip
KEYS = st.sampled_from(
    ["zzz", "nme", "descripton", "x-own", "name", "default", "timeout", "tasksx"]
)


def paths_of(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_of(item, (*path, key))


@st.composite
def mutants(draw, value, raws):
    """Return the YAML of a document with one thing replaced, removed, added or renamed."""
    changed = copy.deepcopy(value)
    *way, last = draw(st.sampled_from([path for path in paths_of(value) if path]))
    holder = changed
    for key in way:
        holder = holder[key]
    what = draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename", "add"]))
    raw = draw(st.sampled_from(raws))
    if what == "remove":
        del holder[last]
    elif what == "replace" or isinstance(holder, list):
        holder[last] = "@RAW@"
    elif what == "rename":
        holder[draw(KEYS)] = holder.pop(last)
    else:
        holder[draw(KEYS)] = "@RAW@"
    return json.dumps(changed).replace('"@RAW@"', raw)


@pytest.mark.parametrize(
    ("name", "value", "raws"),
    [
        ("agent-spec", AGENT, PLAIN + VAGUE),
        ("agent-spec", SET, PLAIN + VAGUE),
        ("tool-manifest", MANIFEST, PLAIN),
    ],
    ids=["agent", "set", "manifest"],
)
def test_schema_and_reader_agree_on_every_change(name, value, raws) -> None:
    assert agree(name, json.dumps(value)) == []
    assert recognise(value) == name

    @settings(max_examples=ROUNDS, deadline=None)
    @given(mutants(value, raws))
    def law(text):
        agree(name, text)

    law()


AMOUNTS = st.sampled_from(
    [
        *(0, 1, -1, 1.5, 0.1234567, "1.5", "x", "", True, [], {}, 10**10),
        *({"input": 1, "output": 2}, ["text"], ["text", "text"], ["audio"], [1], {"tools": False}),
    ]
)


@settings(max_examples=ROUNDS, deadline=None)
@given(st.data())
def test_schema_and_reader_agree_on_prices(data) -> None:
    changed = copy.deepcopy(PRICES)
    *way, last = data.draw(st.sampled_from([path for path in paths_of(PRICES) if path]))
    holder = changed
    for key in way:
        holder = holder[key]
    if data.draw(st.booleans()):
        holder[last] = data.draw(AMOUNTS)
    else:
        value = holder.pop(last)
        if isinstance(holder, dict) and data.draw(st.booleans()):
            holder[
                data.draw(st.sampled_from(["inptu", "long", "long_above", "input", "tools"]))
            ] = value
    agree("llm-prices", write_toml(changed), "toml")


@pytest.mark.parametrize("format_", ["json", "toml"])
@pytest.mark.parametrize("value", [AGENT, SET], ids=["agent", "set"])
def test_agents_are_accepted_in_every_format(value, format_) -> None:
    kept = {key: part for key, part in value.items() if key != "x-notes"}
    text = json.dumps(kept) if format_ == "json" else write_toml(kept)
    assert agree("agent-spec", text, format_) == []


@pytest.mark.parametrize("text", ["created = 2025-07-10", "name = 2025-07-10", "priority = 1"])
def test_dates_of_toml_are_taken_where_the_reader_takes_them(text) -> None:
    rest = '[tasks]\ndefault = [{description = "do"}]\n'
    found = agree(
        "agent-spec", "\n".join(['name = "one"\n' * ("name" not in text), text, rest]), "toml"
    )
    assert (found == []) == text.startswith("created")


def test_a_vague_word_is_refused_in_a_manifest_too_although_the_reader_takes_a_side() -> None:
    text = json.dumps(MANIFEST).replace("true", "on")
    assert manifests_refuse(text, "") == ([], [])
    assert schema_refuses(text, "yaml", "tool-manifest")


def test_the_prices_that_are_shipped_fit() -> None:
    text = files("toka.llm_gateway").joinpath("prices.toml").read_text("utf-8")
    assert agree("llm-prices", text, "toml") == []
    assert recognise(load(text, "toml").data()) == "llm-prices"


EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml")) if (ROOT / "examples").is_dir() else []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_of_the_project_fit(path: Path) -> None:
    text = path.read_text()
    assert schema_refuses(text, "yaml", "agent-spec") == []
    assert recognise(load(text, "yaml").data()) == "agent-spec"


@pytest.mark.skipif(not ORIGINAL.is_dir(), reason="the original's files are not beside the project")
def test_files_of_the_original_fit_as_they_are_read() -> None:
    agents = [*sorted((ORIGINAL / "agents").glob("*.yaml")), ORIGINAL / "agents.toml"]
    assert len(agents) == 8
    for path in agents:
        text, format_ = path.read_text(), path.suffix[1:]
        assert agree("agent-spec", text, format_) == []
        assert recognise(load(text, format_).data()) == "agent-spec"
    manifests = sorted((ORIGINAL / "manifests").glob("*.yaml"))
    assert len(manifests) == 4
    for path in manifests:
        assert agree("tool-manifest", path.read_text()) == []
        assert recognise(load(path.read_text(), "yaml").data()) == "tool-manifest"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("metadata: {name: one}\ntasks:\n  default:\n    - descripton: do\n", 4, "'description'"),
        ("metadata: {name: one}\ntasks:\n  default:\n    - {}\n", 4, "What is to be done"),
        ("name: one\ntasks: {default: [{description: x}]}\nsecurty: {}\n", 3, "'security'"),
        ("name: one\ntasks: {default: [{description: x}]}\nsecurity:\n  sandbox: on\n", 4, "'on'"),
        ("name: one\ntasks:\n  default:\n  - description: x\n    priority: hihg\n", 5, "'high'"),
    ],
)
def test_a_fault_is_told_with_its_line_and_what_was_meant(text, line, words) -> None:
    document = load(text, "yaml")
    (fault,) = faults(document, exact_data(document), schema_of("agent-spec"))
    assert fault.line == line
    assert words in f"{fault.message} {fault.hint}"


def test_every_schema_is_a_valid_schema() -> None:
    for name in SCHEMAS:
        jsonschema.Draft202012Validator.check_schema(schema_of(name))


SERVICE = {
    "log_level": "info",
    "agents": "specs",
    "limits": {"runs_at_once": 8, "unfinished_runs": 100},
    "tools": {
        "allowed": ["read_file"],
        "installed": ["x"],
        "manifests": ["m"],
        "wasm": ["w.json"],
        "mcp": "servers.toml",
        "openapi": [
            {
                "file": "a.json",
                "server": "https://a.example",
                "prefix": "a_",
                "tags": ["t"],
                "operations": ["o"],
                "security": {"key": "mine"},
            }
        ],
    },
    "model": [
        {"provider": "anthropic", "name": "m", "api_key_file": "k", "timeout": 5.5},
        {"provider": "openai", "name": "n", "base_url": "u", "max_output_tokens": 9},
    ],
    "server": {"host": "h", "port": 80, "public_url": "u"},
}
THINGS = st.sampled_from(
    [0, 1, -1, 2.5, 100_001, 65_536, 10**9, "", "info", "hello", True, [], {}, ["a"], [1], [{}]]
)


IDENTITIES = {
    "issuer": [
        {
            "issuer": "https://login.example.com",
            "audience": "toka",
            "jwks_uri": "https://login.example.com/keys",
            "rule": [
                {
                    "where": {"groups": "ops"},
                    "subject_prefix": "example/",
                    "permissions": ["run:*:*", "event:read:**"],
                    "untainted": ["run:*:*"],
                }
            ],
        }
    ],
    "api_key": [
        {
            "key_id": "0123456789abcdef",
            "digest": "0123456789abcdef" * 4,
            "subject": "ci",
            "permissions": ["run:*:*"],
            "untainted": [],
            "expires_at": 1_900_000_000,
        }
    ],
    "exchanged_seconds": 900,
}
MCP_SERVERS = {
    "servers": {
        "files": {
            "command": "mcp-server-filesystem",
            "args": ["/data"],
            "env": {"LANG": "C"},
            "env_from": ["TOKEN"],
            "cwd": "/data",
            "sandbox": "landlock",
            "readable": ["/opt"],
            "grants": ["fs:read:/data/**"],
            "network": False,
            "memory_bytes": 1_073_741_824,
            "effect": "idempotent",
            "only": ["read"],
            "tools": {"read": {"name": "r", "effect": "read_only", "requests": ["fs:read:{path}"]}},
        },
        "tracker": {
            "url": "https://tracker.example/mcp",
            "headers": {"X-Team": "a"},
            "authorization": {
                "issuer": "https://id.example",
                "client_id": "c",
                "client_secret_env": "SECRET",
                "scope": "read",
            },
            "private": True,
            "revision": "2026-07-28",
            "taints": False,
            "timeout": 5.5,
            "max_message_bytes": 4_096,
        },
    }
}
BY_FILE = {"identities": IDENTITIES, "mcp-servers": MCP_SERVERS, "service": SERVICE}


@pytest.mark.parametrize("name", BY_FILE)
@settings(max_examples=ROUNDS * 3, deadline=None)
@given(data=st.data())
def test_schema_and_reader_agree_on_what_a_service_reads(name, data) -> None:
    changed = copy.deepcopy(BY_FILE[name])
    *way, last = data.draw(st.sampled_from([path for path in paths_of(changed) if path]))
    holder = changed
    for key in way:
        holder = holder[key]
    if data.draw(st.booleans()):
        holder[last] = data.draw(THINGS)
    else:
        value = holder.pop(last)
        if isinstance(holder, dict) and data.draw(st.booleans()):
            holder[data.draw(st.sampled_from(["limit", "runs", "allowed", "host"]))] = value
    agree(name, write_toml(changed), "toml")


@pytest.mark.parametrize("name", BY_FILE)
def test_what_a_service_reads_is_recognised_by_its_name(name) -> None:
    assert agree(name, write_toml(BY_FILE[name]), "toml") == []
    assert recognise(BY_FILE[name], f"{name}.toml") == name
    assert recognise({"server": {"port": 80}}, "app.toml") is None


def test_the_schema_of_servers_is_the_reader_s_own() -> None:
    published = schema_of("mcp-servers")
    assert published["$defs"] == json.loads(json.dumps(servers_schema()["$defs"]))

"""The published schemas of Toka's files, and which of them a file is to fit."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import cast

from toka.config_cli._refuse import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from toka.config_cli._value import Value

Schema = dict[str, object]
SCHEMAS = {
    "agent-spec": "agents, and the settings of a run (agents/*.yaml, agents.toml)",
    "identities": "whom a service gives tokens for credentials from outside (identities.toml)",
    "llm-prices": "what models cost and can take (TOKA_LLM_PRICES)",
    "mcp-servers": "MCP servers whose tools agents may use (mcp-servers.toml)",
    "service": "how a service does its work (service.toml)",
    "tool-manifest": "tools in the original's format",
}
"""By name: what each is for."""
_BY_FILE = {
    "identities.toml": "identities",
    "mcp-servers.toml": "mcp-servers",
    "mcp-servers.yaml": "mcp-servers",
    "service.toml": "service",
}
_AGENT = frozenset({"agents", "orchestration", "tasks", "objectives", "inputs"})


def schema_text(name: str) -> str:
    """Return a schema as it is published.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in SCHEMAS:
        from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

        close = get_close_matches(name, SCHEMAS, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(SCHEMAS)}."
        refuse("UsageError", f"There is no schema {name!r}.", hint)
    return files("toka.config_cli").joinpath("schemas", f"{name}.json").read_text("utf-8")


def schema_of(name: str) -> Schema:
    """Return a schema as a value.

    Raises:
        UsageError: There is none of that name.
    """
    return cast("Schema", json.loads(schema_text(name)))


def recognise(value: Value, file: str = "") -> str | None:
    """Return the name of the schema that a document is meant for, or None.

    Args:
        value: Its blocks tell, where Toka's are like no other program's.
        file: The name of its file tells where they are not.
    """
    if file in _BY_FILE:
        return _BY_FILE[file]
    if not isinstance(value, dict):
        return None
    spec = value.get("spec")
    runs = isinstance(spec, dict) and ("executable" in spec or "parameters" in spec)
    if runs or ("interface" in value and "protocols" in value):
        return "tool-manifest"
    if _AGENT & value.keys() or ("metadata" in value and "apiVersion" not in value):
        return "agent-spec"
    if "dated" in value and all(isinstance(part, dict | str) for part in value.values()):
        return "llm-prices"
    return None

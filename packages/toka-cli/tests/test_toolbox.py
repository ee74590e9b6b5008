"""Tools of manifests, WebAssembly guests and MCP servers, named in service.toml, in real runs."""

import json
import os
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from anyio.from_thread import start_blocking_portal

from toka.capability.core import PermissionSet
from toka.cli._errors import ServiceConfigUnusable
from toka.cli._mcp_servers import McpServers
from toka.cli._service_config import Tools
from toka.cli._toolbox import make_toolbox
from toka.cvm import text_to_binary
from toka.llm_gateway import ToolUse
from toka.llm_gateway.testing import DEFAULT_KEY, FakeOpenAI, reply
from toka.tools import ToolContext, Workspace

GUEST = """(module
  (import "toka" "input" (func $input (param i32 i32) (result i32)))
  (import "toka" "output" (func $output (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $output (i32.const 0) (call $input (i32.const 0) (i32.const 65536)))))"""
MANIFEST = """
metadata: {name: word-count, version: "1.0", description: Count., created: "2025-07-06"}
spec:
  executable: {type: shell, path: count.sh}
  parameters: [{name: text, type: string, required: true, description: What to count.}]
"""
SPEC = """
metadata: {name: user}
objectives:
  - {description: use, deliverable: all, validation: v, check: "CHECK"}
tasks:
  default:
    - id: use
      description: Use a tool
      steps: [{tool: TOOL, with: WITH, as: done}]
security: {capabilities_required: NEEDS}
"""


@pytest.fixture
def place(approved_servers, tmp_path: Path) -> Path:
    """Return a directory with a tool of each kind and a service.toml that names them."""
    folder = tmp_path / "tools"
    folder.mkdir(0o755)
    write(folder / "count.yaml", MANIFEST)
    write(folder / "count.sh", "echo '[1]'")
    wasm = text_to_binary(GUEST)
    (tmp_path / "guest.wasm").write_bytes(wasm)
    about = {
        "wasm_tool": 1,
        "name": "guest",
        "description": "A guest.",
        "module": "guest.wasm",
        "sha256": sha256(wasm).hexdigest(),
        "parameters": {"type": "object", "properties": {"key": {"type": "string"}}},
        "permissions": ["kv:get:{key}"],
        "side_effect": "read_only",
    }
    write(tmp_path / "guest.json", json.dumps(about))
    approved_servers(tmp_path)
    named = '[tools]\nmanifests = ["tools"]\nwasm = ["guest.json"]\nmcp = "servers.toml"\n'
    write(tmp_path / "service.toml", named)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.touch()
    path.chmod(0o644)
    path.write_text(text)


USES = {
    "word_count": ({"text": "a b"}, "proc:run:{}/tools/count.sh", "results.use.done.output == [1]"),
    "guest": ({"key": "a"}, "kv:get:a", "results.use.done.key == 'a'"),
    "it__echo": ({"text": "hello"}, "mcp:call:it/echo", "results.use.done.text == 'hello'"),
}


def specification(place: Path, tool: str, *, allowed: bool = True) -> Path:
    arguments, needs, check = USES[tool]
    text = SPEC.replace("TOOL", tool).replace("WITH", json.dumps(arguments))
    granted = [needs.format(place)] if allowed else ["fs:read:nothing"]
    path = place / "user.yaml"
    path.write_text(text.replace("CHECK", check).replace("NEEDS", json.dumps(granted)))
    return path


@pytest.mark.parametrize("tool", USES)
def test_a_run_uses_what_the_configuration_names(toka, place, tool) -> None:
    path = specification(place, tool)
    unknown = toka("run", path)
    assert unknown.status == 2
    assert tool in unknown.err
    done = toka("run", path, "--config", "service.toml", "--output", "json")
    if tool == "word_count" and "sandbox_unavailable" in done.out + done.err:
        pytest.skip("this machine does not prove the level that a manifest demands")
    assert done.status == 0, done.err + done.out
    if tool == "it__echo":
        pid = int((place / "server.pid").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("tool", USES)
def test_a_run_without_the_permission_is_refused(toka, place, tool) -> None:
    path = specification(place, tool, allowed=False)
    refused = toka("run", path, "--config", "service.toml", "--output", "json")
    assert refused.status == 1
    assert "which its token does not grant" in refused.out
    assert not (place / "server.pid").exists()


ASKER = """
metadata: {name: asker}
objectives:
  - {description: say, deliverable: it, validation: v, check: "results.say.result == 'hello'"}
tasks:
  default: [{id: say, description: Say hello, model: {max_turns: 3, tools: [it__echo]}}]
security: {capabilities_required: ['model:call:**', 'mcp:call:it/echo']}
"""


def test_a_model_of_the_same_file_calls_them(toka, place) -> None:
    path = place / "asker.yaml"
    path.write_text(ASKER)
    done = {"result": "hello", "objectives": [{"met": True, "evidence": "It was said."}]}
    answers = [
        reply(ToolUse("1", "it__echo", {"text": "hello"})),
        reply(ToolUse("2", "finish", done)),
    ]
    with start_blocking_portal() as portal:
        fake = FakeOpenAI(lambda _: answers.pop(0))
        with portal.wrap_async_context_manager(fake) as model:
            route = f'[[model]]\nprovider = "openai"\nname = "m"\nbase_url = "{model.url}"\n'
            said = (place / "service.toml").read_text()
            (place / "key").touch(0o600)
            (place / "key").write_text(DEFAULT_KEY)
            route += 'api_key_file = "key"\nallow_insecure = true\n'
            write(place / "service.toml", said + route)
            ended = toka("run", path, "--config", "service.toml", "--output", "json")
            assert ended.status == 0, ended.err + ended.out
            assert "hello" in str(model.requests[-1])
    assert (place / "server.pid").exists()


def test_the_data_directory_s_own_file_holds_without_an_option(toka, place) -> None:
    (place / ".toka").mkdir()
    (place / "service.toml").rename(place / ".toka" / "service.toml")
    assert toka("run", specification(place, "guest")).status == 0


def test_one_option_shows_and_calls_them_all(toka, place) -> None:
    config = ("--config", "service.toml")
    listed = [one["name"] for one in toka("tools", "list", *config, "--json").json]
    assert {*USES, "read_file"} < set(listed)
    assert not (place / "server.pid").exists()
    assert "A guest." in toka("tools", "describe", "guest", *config).out
    call = ("tools", "call", "it__echo", *config, "--args", '{"text": "hello"}')
    assert toka(*call).status == 5
    assert toka(*call, "--allow", "mcp:call:it/echo").json == {"text": "hello"}
    both = toka("tools", "list", *config, "--openapi", "pets.json")
    assert both.status == 2
    assert "[[tools.openapi]]" in both.err


def refusal(place: Path, **tools: object) -> str:
    with pytest.raises(ServiceConfigUnusable) as refused:
        make_toolbox(msgspec.convert(tools, Tools), Workspace(place))
    return str(refused.value)


def test_what_is_broken_is_said_at_the_start(toka, place) -> None:
    assert "nowhere is no folder" in refusal(place, manifests=["nowhere"])
    assert "nothing.json" in refusal(place, wasm=["nothing.json"])
    assert "nothing.toml" in refusal(place, mcp="nothing.toml")
    assert "'guest' already" in refusal(place, wasm=["guest.json", "guest.json"])
    assert "'word_count'" in refusal(place, manifests=["tools", "tools"])
    assert "word_cuont" in refusal(place, manifests=["tools"], allowed=["word_cuont"])
    write(place / "servers.toml.pins.json", "{}")
    assert "pins.json" in refusal(place, mcp="servers.toml")
    write(place / "servers.toml", "[servers.it]\ncomand = 'x'\n")
    assert "comand" in refusal(place, mcp="servers.toml")
    (place / "guest.wasm").write_bytes(b"\0asm")
    assert "not the one that its manifest pins" in refusal(place, wasm=["guest.json"])
    write(place / "tools" / "count.yaml", "metadata: [")
    assert "count.yaml" in refusal(place, manifests=["tools"])
    result = toka("run", specification(place, "guest"), "--config", "service.toml")
    assert result.status == 2
    assert "[cli.service_config]" in result.err
    assert not (place / ".toka").exists()


@pytest.mark.parametrize(
    ("name", "tools"),
    [
        ("tools", {"manifests": ["tools"]}),
        ("tools/count.yaml", {"manifests": ["tools"]}),
        ("guest.json", {"wasm": ["guest.json"]}),
        ("servers.toml", {"mcp": "servers.toml"}),
        ("servers.toml.pins.json", {"mcp": "servers.toml"}),
    ],
)
def test_nothing_that_others_may_write_gives_tools(place, name, tools) -> None:
    make_toolbox(msgspec.convert(tools, Tools), Workspace(place))
    (place / name).chmod(0o777)
    assert f"{name} can be written by others" in refusal(place, **tools)


def test_what_is_allowed_of_a_directory_still_follows_its_files(place) -> None:
    tools = Tools(allowed=("word_count", "guest"), manifests=("tools",), wasm=("guest.json",))
    registry = make_toolbox(tools, Workspace(place)).registry
    assert registry.names() == ("guest", "word_count")
    write(place / "tools" / "other.yaml", MANIFEST.replace("word-count", "other"))
    write(place / "tools" / "count.yaml", MANIFEST.replace("Count.", "Count words."))
    assert registry.names() == ("guest", "word_count")
    assert "Count words." in registry.get("word_count").description


@pytest.mark.anyio
async def test_servers_stay_where_nothing_of_them_changes_and_end_at_last(place) -> None:
    workspace, tools = Workspace(place), Tools(mcp="servers.toml")
    granted = PermissionSet.parse(["mcp:call:it/echo"])

    async def echo(toolbox) -> int:
        context = ToolContext(workspace, granted)
        await toolbox.registry.call("it__echo", {"text": "x"}, context)
        return int((place / "server.pid").read_text())

    async with McpServers() as servers:
        first = make_toolbox(tools, workspace)
        await servers.change(first.servers)
        pid = await echo(first)
        again = make_toolbox(tools, workspace, servers.current)
        await servers.change(again.servers)
        assert await echo(again) == pid
        file = place / "servers.toml"
        write(file, file.read_text() + 'effect = "read_only"\n')
        changed = make_toolbox(tools, workspace, servers.current)
        await servers.change(changed.servers)
        assert await echo(changed) != pid
        # A call of before is still answered.
        os.kill(pid, 0)
        await servers.change(None)
        assert servers.current is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

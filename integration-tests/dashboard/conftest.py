"""One `toka serve` and one browser for each module: Debian's Chromium, by Playwright.

No longer than a module, because Playwright keeps a loop running on the thread of the tests, where
no other test could run its own.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect, sync_playwright

from toka.llm_gateway import ModelResponse, ToolUse
from toka.llm_gateway.testing import FakeAnthropic, reply

if TYPE_CHECKING:
    from toka.types import JsonObject

ROOT = Path(__file__).parents[2]
PATIENCE = 15_000
"""Milliseconds that a page may take to show what has happened, on a busy machine."""

EVIL = (
    '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>\'"`{{7*7}}${7*7}'
    "\u202egnp.exe\u200b\x1b[2J" + "W" * 400
)
REVIEW = "Line 2 divides by zero.\n"

SPECS = {
    "guarded.yaml": """
        metadata: {name: guarded}
        tasks:
          default:
            - {id: clean, description: Clean up with leave, entry: "dashboard_code:guarded"}
        """,
    "inquiring.yaml": """
        metadata: {name: inquiring}
        tasks:
          default:
            - {id: ask, description: Ask where to go, entry: "dashboard_code:inquire"}
        security: {capabilities_required: ["person:ask:operator"]}
        """,
    "evil.yaml": """
        metadata: {name: evil}
        inputs: {file: {type: path, default: evil.txt}}
        tasks:
          default:
            - {id: read, description: "<img src=x onerror=alert(1)>", entry: "dashboard_code:evil"}
        security: {capabilities_required: ["fs:read:${inputs.file}"]}
        """,
    "evil-form.yaml": """
        metadata: {name: evil-form}
        inputs: {file: {type: path, default: evil.txt}}
        tasks:
          default:
            - {id: ask, description: "<img src=x onerror=alert(1)>", entry: "dashboard_code:form"}
        security: {capabilities_required: ["fs:read:${inputs.file}", "person:ask:operator"]}
        """,
    "ticking.yaml": """
        metadata: {name: ticking}
        tasks:
          default: [{id: tick, description: Tick for ever, entry: "dashboard_code:ticking"}]
        """,
    "mend.yaml": """
        metadata: {name: mend}
        tasks:
          default:
            - id: work
              description: Use what is there
              steps:
                - tool: write_file
                  with: {path: "${run.artifacts}/first.txt", content: "one"}
                - {tool: read_file, with: {path: "${run.workspace}/missing.txt"}, as: found}
                - tool: write_file
                  with: {path: "${run.artifacts}/last.txt", content: "${found.content}"}
        security:
          capabilities_required:
            - "fs:write:${run.artifacts}/**"
            - "fs:read:${run.workspace}/**"
        """,
    "team/first.yaml": """
        metadata: {name: first}
        tasks:
          default: [{id: work, description: Do the first half, entry: "team_code:work"}]
        """,
    "team/second.yaml": """
        metadata: {name: second}
        dependencies: {required: {first: the first half}}
        tasks:
          default: [{id: work, description: Fail at the second half, entry: "team_code:fail"}]
        """,
}
CODE = """
    from pathlib import Path

    async def guarded(ctx):
        found = {"old backups": 14}
        await ctx.observe("found", found)
        if not await ctx.approve("May I delete 14 old backups?", details=found):
            return {"report": "Nothing was deleted."}
        return {"report": "14 old backups are gone."}

    async def inquire(ctx):
        properties = {
            "where": {"enum": ["here", "there"], "title": "Place"},
            "days": {"type": "integer", "minimum": 1},
            "why": {"type": "string"},
        }
        schema = {"type": "object", "properties": properties, "required": ["where", "days"]}
        said = await ctx.tool("ask_person", question="Where to?", schema=schema)
        own = await ctx.tool("ask_person", question="And then?")
        return {"said": said["answer"], "then": own["answer"]}

    async def evil(ctx):
        read = await ctx.tool("read_file", path=ctx.inputs["file"])
        await ctx.observe("found", {"text": read["content"]})
        return await ctx.approve(read["content"], details={read["content"][:60]: read["content"]})

    async def form(ctx):
        text = (await ctx.tool("read_file", path=ctx.inputs["file"]))["content"]
        kinds = (
            {"enum": [text, 5]},
            {"type": "string", "maxLength": 9},
            {"type": "boolean"},
            {"type": "number"},
            {"type": "array", "items": {"type": "integer"}},
            {"type": "string"},
        )
        said = {"title": text, "description": text}
        members = {f"{text[:100]}{n}": kind | said for n, kind in enumerate(kinds)}
        schema = {"type": "object", "properties": members, "required": list(members)[:1]}
        answer = (await ctx.tool("ask_person", question=text, schema=schema))["answer"]
        return {str(list(members).index(name)): value for name, value in answer.items()}

    async def ticking(ctx):
        while True:
            await ctx.observe("tick", 1)
            await ctx.sleep(0.1)

    async def work(ctx):
        for number in range(6):
            await ctx.observe("part", number)
        return "done"

    async def fail(ctx):
        await ctx.observe("part", 1)
        raise ValueError("The second half cannot be done.")
    """


def script(body: "JsonObject") -> ModelResponse:
    """Return what the scripted model says: it reads, writes its review, and finishes."""
    text = str(body["messages"])
    messages = body["messages"]
    assert isinstance(messages, list)
    turn = sum(isinstance(each, dict) and each["role"] == "assistant" for each in messages)
    review = re.findall(r"[^\s\"`']+/review\.md", text)[0]
    subject = re.findall(r"[^\s\"`']+/subject\.py", text)[0]
    met = {"met": True, "evidence": "review.md is there"}
    name, arguments = (
        ("read_file", {"path": subject}),
        ("write_file", {"path": review, "content": REVIEW}),
        ("finish", {"result": "It divides by zero.", "objectives": [met]}),
    )[turn]
    response = reply(ToolUse(f"call_{turn}", name, arguments))
    return attrs.evolve(response, model=str(body["model"]))


@attrs.define
class Server:
    """`toka serve` on one data directory and one port, as often as it is started."""

    workspace: Path
    environment: dict[str, str]
    port: int
    process: subprocess.Popen[str] | None = None
    link: str = ""
    """Signs in once; another one after each start."""
    used: str = ""
    """The link that was."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "toka.cli", "serve", "--port", str(self.port)),
            *("--print-link", "--allow", "model:call:**", "--allow", "person:ask:**"),
        ]
        with (self.workspace / "serve.log").open("a") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own
                command,
                cwd=self.workspace,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        if not self.process.stdout.readline().startswith("Serving"):
            self.stop()
            pytest.fail((self.workspace / "serve.log").read_text())
        self.link = self.process.stdout.readline().split()[-1]

    def stop(self, end: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(end)
            self.process.communicate(timeout=20)
            self.process = None


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    shutil.copytree(ROOT / "examples", folder / "examples")
    for name, text in SPECS.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    (folder / "dashboard_code.py").write_text(textwrap.dedent(CODE))
    (folder / "team" / "team_code.py").write_text(textwrap.dedent(CODE))
    (folder / "evil.txt").write_text(EVIL)
    (folder / "subject.py").write_text("def broken():\n    return 1 / 0\n")
    return folder


@contextmanager
def scripted_model() -> Iterator[dict[str, str]]:
    """Serve a model that costs nothing, and say where it is."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(FakeAnthropic(script)) as provider,
    ):
        yield {
            "TOKA_LLM_PROVIDER": "anthropic",
            "TOKA_LLM_MODEL": "claude-sonnet-5-5",
            "TOKA_LLM_API_KEY": provider.key,
            "TOKA_LLM_BASE_URL": provider.url,
            "TOKA_LLM_ALLOW_INSECURE": "1",
        }


@pytest.fixture(scope="module")
def server(workspace: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    inherited = {name: text for name, text in os.environ.items() if "TOKA_" not in name}
    with scripted_model() as model:
        server = Server(workspace, inherited | model, port)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None and "CI" not in os.environ:
        pytest.skip("Chromium is not installed.")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def signed_in(server: Server, chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that has followed the link of the server's first start."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    server.used = server.link
    page.goto(server.used)
    page.wait_for_url("**/ui/runs")
    page.close()
    yield context
    context.close()


@pytest.fixture(scope="module")
def watch() -> Callable[[Page], list[str]]:
    """Returns, for a page, a list that grows as `watched` says."""
    return watched


@pytest.fixture(scope="module")
def pictures() -> Path:
    """Where pictures of pages are kept, for people to look at."""
    folder = ROOT / "artifacts" / "dashboard"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def watched(page: Page) -> list[str]:
    """Return a list that grows with everything that must not happen on a page."""
    faults: list[str] = []

    def refuse(dialog: Dialog) -> None:
        faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("dialog", refuse)
    page.on(
        "console",
        lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None,
    )
    page.on(
        "request",
        lambda asked: (
            None if asked.url.startswith("http://127.0.0.1:") else faults.append(asked.url)
        ),
    )
    return faults


@pytest.fixture
def page(server: Server, signed_in: BrowserContext) -> Iterator[Page]:
    """A page of somebody who is signed in, on which nothing went wrong in the end."""
    page = signed_in.new_page()
    faults = watched(page)
    page.goto(f"{server.url}/ui/runs")
    yield page
    assert page.evaluate("window.pwned") is None
    page.close()
    assert faults == []


@pytest.fixture
def begin(server: Server, page: Page) -> Iterator[Callable[..., str]]:
    """Begins a run by the form, and returns its identifier; ends it after the test."""
    begun: list[str] = []

    def start(source: str, inputs: str = "") -> str:
        page.goto(f"{server.url}/ui/start")
        page.get_by_label("Specification", exact=True).fill(source)
        page.get_by_label("Inputs").fill(inputs)
        page.get_by_role("button", name="Start").first.click()
        page.wait_for_url("**/ui/runs/0*")
        begun.append(page.url.rsplit("/", 1)[1])
        return begun[-1]

    yield start
    for run in begun:
        # Answered with 409 by those that have ended.
        page.evaluate(
            """run => fetch(`/v1/runs/${run}/cancel`, {method: "POST", headers: {
                "X-Toka-Mark": document.querySelector("meta[name=toka-mark]").content}})""",
            run,
        )

"""The audit's agents over real directories and real tools, each with its own permissions only."""

import json
import os
import subprocess
from pathlib import Path
from typing import cast

import pytest

from toka.agent_runtime import StepFailed, TaskContext, Template, load_entry
from toka.capability.core import PermissionSet
from toka.orchestration import (
    load_specs,
    plan,
    plan_tasks,
    playbook_of,
    resolve_inputs,
    resolve_permissions,
)
from toka.tools import ToolContext, ToolError, ToolRegistry, Workspace

EXAMPLES = Path(__file__).parents[3] / "examples"
AUDIT = EXAMPLES / "repo-audit"

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not AUDIT.is_dir(), reason="the examples are not beside this package"),
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Context:
    """What the code of a task needs of its context, over tools that check every permission."""

    def __init__(self, granted, inputs, limit=1 << 20):
        self.inputs = inputs
        self.results = {}
        self.calls = []
        self._granted = granted
        self._limit = limit
        self._tools = ToolRegistry.builtin()

    async def tool(self, name, /, **arguments):
        self.calls.append(name)
        tool = self._tools.get(name)
        workspace = Workspace(".")
        context = ToolContext(workspace, self._granted, output_limit_bytes=self._limit)
        try:
            checked = self._tools.validate(name, arguments)
            for request in tool.requests(checked, workspace):
                if self._granted.covers(request) is None:
                    raise StepFailed(f"{request} is not granted.", code="kernel.capability_denied")
            result = await tool.call(checked, context)
        except ToolError as error:
            raise StepFailed(error.message, code=error.code) from error
        return json.loads(json.dumps(result.value))

    async def playbook(self, task, variables):
        bound = {}
        for step in playbook_of(task).steps:
            known = {**variables, **bound}
            if step.for_each is None:
                bound[step.bind] = await self.call(step, known)
                continue
            items = cast("list[object]", step.for_each.render(known))
            bound[step.bind] = [await self.call(step, {**known, "item": each}) for each in items]
        return bound

    async def call(self, step, variables):
        arguments = cast("dict[str, object]", step.arguments.render(variables))
        return await self.tool(step.tool, **arguments)


class Audit:
    """One run of the audit; the engine's work in the simplest form."""

    def __init__(self, target, artifacts, limit=1 << 20):
        self.specs = load_specs(AUDIT)
        self.inputs = resolve_inputs(self.specs, {"target": str(target)}, Path.cwd())
        self.run = {"artifacts": str(artifacts)}
        self.results = {}
        self.unmet = []
        self.calls = {}
        self._limit = limit
        artifacts.mkdir(exist_ok=True)

    def granted(self, name):
        found = resolve_permissions(self.specs.agent(name), self.inputs, Path.cwd(), self.run)
        assert not found.warnings
        return PermissionSet.parse(found.permissions)

    async def agent(self, name):
        spec = self.specs.agent(name)
        context = Context(self.granted(name), self.inputs, self._limit)
        own = self.results[name] = {}
        variables = {"inputs": self.inputs, "run": self.run, "agent": {}}
        for number in plan_tasks(spec.tasks).order:
            task = next(task for task in spec.tasks if task.id == number)
            context.results = {**self.results, **own}
            if task.steps:
                known = {**variables, "results": context.results}
                own[task.id] = await context.playbook(task, known)
            else:
                code = load_entry(spec.entry_of(task), AUDIT)
                own[task.id] = json.loads(
                    json.dumps(await code.function(cast("TaskContext", context)))
                )
        self.calls[name] = context.calls
        known = {**variables, "results": {**self.results, **own}}
        for objective in spec.objectives:
            if Template.parse_expression(objective.check).render(known) is not True:
                self.unmet.append(objective.description)

    async def __call__(self):
        for name in plan(self.specs).order:
            await self.agent(name)
        artifacts = Path(self.run["artifacts"])
        data = json.loads((artifacts / "report.json").read_text())
        return (artifacts / "report.md").read_text(), data


def write(root, **files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture
def target(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    return root


async def test_an_empty_directory_has_a_report(target, tmp_path):
    audit = Audit(target, tmp_path / "out")
    markdown, data = await audit()
    assert data["inventory"]["files"] == 0
    assert "There are no files." in markdown
    assert not audit.unmet


async def test_lines_are_counted_by_language(target, tmp_path):
    write(
        target,
        **{
            "a.py": "one\ntwo\nthree without an end",
            "sub/b.py": "one\n",
            "c.rs": "",
            "blob.py": b"\0\1\2\n\n",
            "photo.png": b"\x89PNG\n\n\n",
            ".github/workflow.yml": "on: push\n",
            ".git/config.py": "never seen\n",
            "node_modules/x/y.js": "never seen\n",
        },
    )
    _, data = await Audit(target, tmp_path / "out")()
    rows = {row["language"]: row for row in data["inventory"]["languages"]}
    assert (rows["Python"]["files"], rows["Python"]["lines"]) == (3, 4)
    assert rows["Rust"]["lines"] == 0
    assert rows["YAML"]["lines"] == 1
    assert data["inventory"]["other"] == {"files": 1, "bytes": 7}
    assert "JavaScript" not in rows


async def test_odd_names_and_links_do_no_harm(target, tmp_path):
    write(
        target,
        **{
            "-rf.py": "a\n",
            "with space.py": "a\n",
            "pipe|`tick` *star*.py": "a  # TODO | mend `this`\n",
            "new\nline.py": "a\n",
            "ünïcode/é.py": "a\n",
            "[x]*?.py": "a\n",
        },
    )
    (target / "loop").symlink_to(".")
    (target / "outside.py").symlink_to("/etc/passwd")
    (target / "broken").symlink_to("nowhere")
    os.mkfifo(target / "pipe.py")
    audit = Audit(target, tmp_path / "out")
    markdown, data = await audit()
    assert data["inventory"]["links"] == 3
    assert data["inventory"]["lines"] == 5
    assert data["inventory"]["not_counted"] == ["new\nline.py"]
    assert "root:" not in markdown
    assert "pipe\\|" in markdown
    assert not audit.unmet


async def test_a_name_that_is_no_text_is_reported(target, tmp_path):
    write(target, **{os.fsdecode(b"\xff.py"): "x\n"})
    markdown, data = await Audit(target, tmp_path / "out")()
    assert len(data["inventory"]["skipped"]) == 1
    assert "1 entries could not be listed" in markdown


async def test_a_huge_file_is_not_counted_but_told(target, tmp_path):
    with (target / "huge.json").open("wb") as file:
        file.truncate(100 << 20)
    _, data = await Audit(target, tmp_path / "out")()
    assert data["inventory"]["bytes"] == 100 << 20
    assert data["inventory"]["other"]["files"] == 1


@pytest.mark.parametrize("folder", ["", "deep/"])
async def test_a_tree_longer_than_an_answer_is_listed_whole(target, tmp_path, folder):
    names = [f"{folder}file !-[]^{index:03d}.py" for index in range(300)]
    write(target, **dict.fromkeys(names, "x\n"))
    audit = Audit(target, tmp_path / "out", limit=8_000)
    await audit.agent("inventory")
    found = audit.results["inventory"]["count"]
    assert (found["files"], found["lines"]) == (300, 300)
    assert audit.calls["inventory"].count("list_files") > 1


async def test_a_thousand_files_take_few_steps(target, tmp_path):
    write(target, **{f"d{index % 10}/f{index}.py": "x\n" for index in range(1_000)})
    audit = Audit(target, tmp_path / "out")
    await audit()
    assert sum(map(len, audit.calls.values())) < 20


async def test_manifests_of_every_kind_are_read(target, tmp_path):
    write(
        target,
        **{
            "pyproject.toml": (
                '[project]\nname = "Own_Thing"\nversion = "1"\nlicense = "MIT"\n'
                'dependencies = ["Requests[socks]>=2; python_version > \'3\'", "attrs"]\n'
                '[dependency-groups]\ntest = ["pytest>=9", {include-group = "lint"}]\n'
            ),
            "nested/package.json": json.dumps(
                {
                    "name": "web",
                    "license": {"type": "ISC"},
                    "dependencies": {"left-pad": "^1"},
                    "devDependencies": {"@types/node": "*"},
                }
            ),
            "rust/Cargo.toml": (
                '[package]\nname = "c"\nversion = "0.1.0"\n[dependencies]\nserde = "1"\n'
                'other = { package = "real", git = "https://example.org/x" }\n'
            ),
            "go/go.mod": (
                "module example.org/m\n\nrequire (\n\tgolang.org/x/net v0.1.0\n"
                "\tgolang.org/x/text v0.2.0 // indirect\n)\nrequire a.b/c v1.0.0\n"
            ),
            "requirements-dev.txt": (
                "# comment\n-r other.txt\nflask==3.0 \\\n  --hash=sha256:abc\nOwn-thing\n"
            ),
        },
    )
    markdown, data = await Audit(target, tmp_path / "out")()
    rows = {(row["ecosystem"], row["name"]): row for row in data["dependencies"]["dependencies"]}
    assert rows["Python", "requests"]["requirements"] == [">=2"]
    assert rows["Python", "pytest"]["scopes"] == ["development"]
    assert rows["Python", "flask"]["requirements"] == ["==3.0"]
    assert rows["Python", "own-thing"]["licence"] == "MIT"
    assert rows["JavaScript", "@types/node"]["scopes"] == ["development"]
    assert rows["Rust", "real"]["requirements"] == ["https://example.org/x"]
    assert rows["Go", "golang.org/x/text"]["scopes"] == ["optional"]
    assert rows["Go", "a.b/c"]["requirements"] == ["v1.0.0"]
    assert rows["JavaScript", "left-pad"]["licence"] is None
    assert "**unknown**" in markdown


async def test_licences_are_found_beside_the_sources(target, tmp_path):
    site = ".venv/lib/python3.11/site-packages"
    write(
        target,
        **{
            "pyproject.toml": '[project]\nname = "x"\ndependencies = ["one", "two", "three"]\n',
            f"{site}/one-1.2.dist-info/METADATA": (
                "Metadata-Version: 2.4\nName: One\nVersion: 1.2\nLicense-Expression: BSD-3-Clause\n"
                "Classifier: License :: OSI Approved :: MIT License\n"
            ),
            f"{site}/two-2.dist-info/METADATA": (
                "Name: two\nVersion: 2\nLicense: UNKNOWN\n"
                "Classifier: License :: OSI Approved :: Apache Software License\n"
            ),
            f"{site}/three-3.dist-info/METADATA": "Name: three\nVersion: 3\n",
            "web/package.json": '{"dependencies": {"pad": "1", "@a/b": "2"}}',
            "web/node_modules/pad/package.json": (
                '{\n "name": "pad",\n "version": "1.0",\n "license": "WTFPL"\n}'
            ),
            "web/node_modules/@a/b/package.json": '{\n "name": "@a/b",\n "license": "MIT"\n}',
            "Cargo.toml": '[dependencies]\nserde = "1"\n',
            "vendor/serde/Cargo.toml": '[package]\nname = "serde"\nlicense = "MIT OR Apache-2.0"\n',
        },
    )
    _, data = await Audit(target, tmp_path / "out")()
    known = {
        row["name"]: (row["installed"], row["licence"])
        for row in data["dependencies"]["dependencies"]
    }
    assert known == {
        "one": ("1.2", "BSD-3-Clause"),
        "two": ("2", "Apache-2.0"),
        "three": ("3", None),
        "pad": ("1.0", "WTFPL"),
        "@a/b": (None, "MIT"),
        "serde": (None, "MIT OR Apache-2.0"),
    }


async def test_a_broken_manifest_is_reported_and_the_rest_is_read(target, tmp_path):
    write(
        target,
        **{
            "a/package.json": "{",
            "b/package.json": "[1]",
            "c/pyproject.toml": "[",
            "d/Cargo.toml": "dependencies = 5",
            "e/go.mod": b"\xff\xfe\0",
            "f/package.json": '{"dependencies": {"x": "1"}}',
            "g/pyproject.toml": "x = " + "[" * 5_000,
            "h/package.json": b"x" * 600_000,
        },
    )
    audit = Audit(target, tmp_path / "out")
    markdown, data = await audit()
    assert [row["name"] for row in data["dependencies"]["dependencies"]] == ["x"]
    assert len(data["dependencies"]["faults"]) == 6
    assert "### Not readable" in markdown
    assert not audit.unmet


def git(root, *arguments, day="2020-01-02"):
    moment = f"{day}T12:00:00+00:00"
    environment = {
        **os.environ,
        "GIT_AUTHOR_DATE": moment,
        "GIT_COMMITTER_DATE": moment,
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", *who, *arguments]
    subprocess.run(command, cwd=root, env=environment, check=True)  # noqa: S603 - fixed words


async def test_notes_are_dated_by_git_the_oldest_first(target, tmp_path):
    git(target, "init", "-q")
    write(target, **{"a.py": "x\n# TODO new\n", "b.py": "# FIXME old\n"})
    git(target, "add", "b.py")
    git(target, "commit", "-qm", "b", day="2001-02-03")
    git(target, "add", "a.py")
    git(target, "commit", "-qm", "a", day="2011-02-03")
    write(target, **{"b.py": "# FIXME old\n# HACK not committed\n", "c.py": "# XXX unknown\n"})
    markdown, data = await Audit(target, tmp_path / "out")()
    assert [(note["path"], note["line"], note["since"]) for note in data["debts"]["debts"]] == [
        ("b.py", 1, "2001-02-03"),
        ("a.py", 2, "2011-02-03"),
        ("b.py", 2, None),
        ("c.py", 1, None),
    ]
    assert data["debts"]["marks"] == {"FIXME": 1, "HACK": 1, "TODO": 1, "XXX": 1}
    assert "the oldest since 2001-02-03" in markdown


async def test_notes_have_no_date_where_there_is_no_git(target, tmp_path):
    write(target, **{"a.py": "# TODO x\n"})
    markdown, data = await Audit(target, tmp_path / "out")()
    assert data["debts"]["debts"][0]["since"] is None
    assert "Notes have no date" in markdown


async def test_the_same_directory_gives_the_same_bytes(target, tmp_path):
    write(target, **{f"d{index}/f.py": f"# TODO {index}\n" for index in range(20)})
    write(target, **{"requirements.txt": "b\na\n"})
    await Audit(target, tmp_path / "one")()
    await Audit(target, tmp_path / "two")()
    for name in ("report.md", "report.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("agent", ["inventory", "dependencies", "debts"])
def test_only_the_reporter_can_write(target, tmp_path, agent):
    audit = Audit(target, tmp_path / "out")
    assert audit.granted(agent).covers(f"fs:write:{target}/x") is None
    assert audit.granted(agent).covers(f"fs:write:{tmp_path}/out/x") is None
    assert audit.granted(agent).covers("fs:read:/etc/passwd") is None


def test_the_reporter_can_write_one_directory_and_read_nothing(target, tmp_path):
    granted = Audit(target, tmp_path / "out").granted("report")
    assert granted.covers(f"fs:write:{tmp_path}/out/report.md") is not None
    assert granted.covers(f"fs:write:{target}/x") is None
    assert granted.covers(f"fs:read:{target}/x") is None
    assert granted.covers("proc:run:git") is None


def test_two_agents_run_at_a_time():
    assert load_specs(AUDIT).settings.max_concurrent_agents == 2


@pytest.mark.parametrize("name", ["hello", "llm-review"])
def test_the_other_examples_load_without_warnings(name, tmp_path):
    specs = load_specs(EXAMPLES / name)
    plan(specs)
    inputs = resolve_inputs(specs, {"file": "a/b.py"} if name == "llm-review" else {}, tmp_path)
    (agent,) = specs.agents
    granted = resolve_permissions(agent, inputs, tmp_path, {"artifacts": "/out"})
    assert not [*specs.warnings, *granted.warnings]


def test_the_review_reads_only_the_directory_of_its_file(tmp_path):
    root = tmp_path.resolve()
    specs = load_specs(EXAMPLES / "llm-review")
    inputs = resolve_inputs(specs, {"file": "a/b.py"}, root)
    granted = resolve_permissions(specs.agents[0], inputs, root, {"artifacts": "/out"})
    assert granted.permissions == (
        "model:call:**",
        f"fs:read:{root}/a/**",
        "fs:write:/out/review.md",
        "fs:read:/out/review.md",
    )

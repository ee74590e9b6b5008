"""What a document says becomes values."""

import json

import msgspec

from toka.orchestration import (
    parse_specs,
    playbook_of,
)
from toka.types import Budget, ModelSettings

MINIMAL = """\
metadata: {name: one}
tasks:
  default:
    - description: say hello
"""


def one(text, name="one.yaml"):
    (agent,) = parse_specs(text.encode(), name).agents
    return agent


def beside(block):
    return parse_specs((MINIMAL + block).encode(), "one.yaml")


def test_the_smallest_specification():
    agent = one(MINIMAL)
    assert agent.name == "one"
    assert agent.way(agent.tasks[0]) == "model"
    assert agent.tasks[0].id == "task1"


def test_the_same_in_three_formats():
    toml = '[metadata]\nname = "one"\n[[tasks.default]]\ndescription = "say hello"\n'
    data = {"metadata": {"name": "one"}, "tasks": {"default": [{"description": "say hello"}]}}
    assert one(MINIMAL) == one(toml, "one.toml") == one(json.dumps(data), "one.json")


def test_keys_of_metadata_and_spec_may_stand_in_the_root():
    agent = one("name: one\npriority: high\ndomain: d\ntasks: {default: [{description: x}]}")
    assert (agent.name, agent.role.priority, agent.role.domain) == ("one", "high", "d")


def test_everything_that_a_specification_can_say():
    agent = one(
        """\
metadata: {name: full, version: 1.0, created: 2025-07-04, workstream: w, branch: b}
spec: {name: Full, domain: d, priority: critical, description: all of it}
capabilities: {primary: [a], secondary: [b, c]}
objectives:
  - {description: counted, check: "results.count.total > 0", priority: high}
inputs:
  target: {default: ., description: what to count, type: path}
  depth: 3
  name:
tasks:
  default:
    - id: count
      description: count
      steps: [{tool: list_files, with: {path: "${inputs.target}"}, as: files}]
      outputs: {total: "${files.entries.size()}"}
      timeout: 30s
      in_doubt: skip
      retry: {attempts: 3, initial: 1s}
    - description: think
      depends_on: count
      model: {name: big, max_turns: 9, temperature: 0.5, tools: [read_file]}
      budget: {money: 0.25, tokens: 1000}
    - {description: run, entry: "pack.mod:function"}
  conditional:
    deep: [{description: dig}]
dependencies: {required: {a: why}, optional: [b, c]}
reporting: {frequency: daily, channels: [main-agent], metrics: {files: how many}}
security:
  sandbox: false
  capabilities_required: ["fs:read:${inputs.target}/**"]
  resource_limits: {max_memory: 512MB, max_cpu: "75%", timeout: 2h}
entry: pack.mod:main
model: small
budget: {calls: 10}
restart: {policy: always, max_restarts: 5, within: 1m}
x-notes: [1, on, 2025-01-01]
"""
    )
    count, think, run, dig = agent.tasks
    assert (agent.metadata.version, agent.metadata.created) == ("1.0", "2025-07-04")
    assert agent.objectives[0].check == "results.count.total > 0"
    target, depth, name = agent.inputs
    assert (target.kind, bytes(target.default), bytes(depth.default)) == ("path", b'"."', b"3")
    assert name.required
    assert (count.timeout, count.in_doubt, count.steps[0].tool) == (
        30 * 10**9,
        "skip",
        "list_files",
    )
    assert count.retry is not None
    assert count.retry.attempts == 3
    assert playbook_of(count).steps[0].bind == "files"
    assert think.depends_on == ("count",)
    assert think.model == ModelSettings("big", 9, temperature=0.5, tools=("read_file",))
    assert think.budget == Budget(money=250_000, tokens=1_000)
    assert (run.entry, dig.id, dig.condition) == ("pack.mod:function", "deep1", "deep")
    assert [each.agent for each in agent.dependencies.optional] == ["b", "c"]
    assert not agent.security.sandbox
    assert agent.security.resource_limits.max_cpu == 750
    assert agent.model == ModelSettings("small")
    assert (agent.restart.when, agent.restart.max_restarts) == ("always", 5)
    assert json.loads(bytes(agent.extra)) == {"x-notes": [1, "on", "2025-01-01"]}


def test_a_specification_survives_its_encoding():
    agent = one(MINIMAL + "security: {capabilities_required: [git-access]}\n")
    assert msgspec.json.decode(msgspec.json.encode(agent), type=type(agent)) == agent


def test_the_sample_of_the_format_loads():
    agent = one(
        """\
name: sample
tasks:
  default:
    - description: count the lines of every Python file
      priority: high
      steps:
        - {tool: list_files, with: {path: "${inputs.target}", pattern: "**/*.py"}, as: files}
        - {tool: run_command, with: {argv: [wc, -l, "${item.path}"]}, for_each: "${files.entries}",
           when: "${item.size > 0}", as: counts, retry: {attempts: 3}, timeout: 30s}
security:
  sandbox: true
  capabilities_required: ["fs:read:${inputs.target}/**", "proc:run:wc", filesystem-read]
  resource_limits: {max_memory: 512MB, max_cpu: "100%", timeout: 5m}
"""
    )
    steps = playbook_of(agent.tasks[0]).steps
    assert (steps[1].retry.attempts, steps[1].timeout) == (3, 30 * 10**9)


def test_aliases_are_followed():
    text = "metadata: {name: one}\nx-a: &a [1]\ntasks: {default: [{description: d}]}\nx-b: *a\n"
    assert json.loads(bytes(one(text).extra)) == {"x-a": [1], "x-b": [1]}


def test_text_is_brought_into_one_normal_form():
    assert (
        one("name: one\ntasks: {default: [{description: 'e\u0301'}]}").tasks[0].description == "é"
    )


def test_a_byte_order_mark_of_utf8_is_nothing():
    assert parse_specs(b"\xef\xbb\xbf" + MINIMAL.encode(), "a.yaml").agents


def test_an_unknown_root_block_is_kept_and_warned_about():
    specs = beside("storage_plan: {size: 3}\n")
    assert json.loads(bytes(specs.agents[0].extra)) == {"storage_plan": {"size": 3}}
    assert "kept, not interpreted" in specs.warnings[0].message
    assert (specs.warnings[0].place.line, specs.warnings[0].place.path) == (5, "storage_plan")


def test_a_limit_that_is_not_enforced_is_warned_about():
    specs = beside("security: {resource_limits: {max_disk_usage: 1GB}}\n")
    assert "not enforced" in specs.warnings[0].message


def test_a_vague_capability_is_warned_about():
    specs = beside("security: {capabilities_required: [admin-privileges]}\n")
    assert "grants nothing" in specs.warnings[0].message


def test_a_key_called_like_a_truth_value_is_its_text():
    assert json.loads(bytes(one(MINIMAL + "x-ci: {on: push, 1: a}").extra)) == {
        "x-ci": {"on": "push", "1": "a"}
    }

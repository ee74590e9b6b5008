"""The files of the original Toka load as they are."""

from pathlib import Path

import pytest

from toka.orchestration import load_specs

ORIGINAL = Path(__file__).parents[4] / "shared" / "data" / "original"

pytestmark = pytest.mark.skipif(
    not ORIGINAL.is_dir(), reason="the original's files are not beside this checkout"
)


@pytest.fixture(scope="module")
def specs():
    return load_specs(ORIGINAL / "agents")


@pytest.fixture(scope="module")
def toml():
    return load_specs(ORIGINAL / "agents.toml")


def test_all_seven_agents_load(specs):
    assert [agent.name for agent in specs.agents] == [
        "build-system-stabilization",
        "document-organization",
        "github-api-integration",
        "kernel-events-enhancement",
        "security-extension",
        "storage-advancement",
        "testing-infrastructure",
    ]


def test_dependencies_are_read_from_maps_and_from_lists(specs):
    by_map = specs.agent("github-api-integration").dependencies
    by_list = specs.agent("document-organization").dependencies
    assert [each.agent for each in by_map.required] == ["build-system-stabilization"]
    assert by_list.required[0].reason == "Stable build system required for safe file operations"
    assert [each.agent for each in by_list.optional] == [
        "testing-infrastructure",
        "github-cicd-issues-resolution",
    ]


def test_metrics_are_read_in_both_forms(specs):
    short = specs.agent("testing-infrastructure").reporting.metrics[0]
    long = specs.agent("github-api-integration").reporting.metrics[0]
    assert (short.name, short.kind) == ("test-coverage", "")
    assert (long.name, long.kind, long.unit) == ("github-api-requests", "counter", "requests/hour")


def test_limits_are_read_in_one_unit(specs):
    limits = specs.agent("build-system-stabilization").security.resource_limits
    assert limits.max_memory == 512 * 2**20
    assert limits.max_cpu == 750
    assert limits.timeout == 2 * 3_600 * 10**9


def test_conditional_tasks_carry_their_condition(specs):
    tasks = specs.agent("github-api-integration").tasks
    assert [task.condition for task in tasks].count("enterprise") == 2
    assert [task.condition for task in tasks].count("security_focused") == 2


def test_every_block_that_is_not_interpreted_is_kept_and_warned_about(specs):
    kept = [warning.place.path for warning in specs.warnings if "kept" in warning.message]
    for block in ("risk_mitigation", "github_integration", "test_scenarios"):
        assert block in kept
    assert b"PostgreSQL" in bytes(specs.agent("storage-advancement").extra)


def test_agents_toml_gives_agents_and_settings(toml):
    assert len(toml.agents) == 5
    assert toml.settings.max_concurrent_agents == 8
    assert toml.settings.agent_spawn_timeout == 30 * 10**9
    assert b"claude-3-5-sonnet" in bytes(toml.settings.extra)


def test_agents_toml_gives_its_limits_to_every_agent(toml):
    limits = toml.agent("toka-meta-orchestrator").security.resource_limits
    assert (limits.max_memory, limits.max_cpu) == (512 * 2**20, 500)
    assert limits.timeout == 1_800 * 10**9


def test_tasks_of_agents_toml_wait_by_name(toml):
    assert toml.agent("toka-meta-orchestrator").tasks[0].depends_on == (
        "toka-orchestration-coordinator",
        "toka-configuration-manager",
    )


def test_warnings_of_agents_toml_have_lines(toml):
    assert all(warning.place.line for warning in toml.warnings)

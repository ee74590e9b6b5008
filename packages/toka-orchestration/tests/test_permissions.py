import pytest

from toka.capability.core import Permission
from toka.orchestration import SpecExpressionError, resolve_permissions
from toka.types import AgentSpec, Metadata, Security


def resolve(workspace, *entries, run=None, **inputs):
    spec = AgentSpec(Metadata("a"), security=Security(capabilities_required=entries))
    return resolve_permissions(spec, inputs, workspace, run or {})


@pytest.fixture
def workspace(tmp_path):
    root = tmp_path.resolve() / "work"
    root.mkdir()
    return root


def test_an_input_becomes_an_absolute_real_path(workspace):
    (workspace / "real").mkdir()
    (workspace / "link").symlink_to("real")
    found = resolve(workspace, "fs:read:${inputs.target}/**", target="link/../link")
    assert found.permissions == (f"fs:read:{workspace}/real/**",)


def test_a_relative_pattern_is_within_the_workspace(workspace):
    found = resolve(workspace, "fs:read:docs/*.md", "fs:read:**")
    assert found.permissions == (f"fs:read:{workspace}/docs/*.md", f"fs:read:{workspace}/**")


def test_wildcards_in_a_value_are_no_wildcards(workspace):
    (found,) = resolve(workspace, "fs:read:${inputs.target}/**", target="a*[b] %").permissions
    assert found == f"fs:read:{workspace}/a%2A[b]%20%25/**"
    assert not Permission.parse(found).covers(Permission.parse(f"fs:read:{workspace}/axx/y"))


def test_the_root_directory_can_be_granted(workspace):
    assert resolve(workspace, "fs:read:${inputs.t}/**", t="/").permissions == ("fs:read:/**",)
    assert resolve(workspace, "fs:read:/**").permissions == ("fs:read:/**",)


def test_a_value_within_a_path_must_not_lead_out_of_it(workspace):
    with pytest.raises(SpecExpressionError, match=r"segment '\.\.'"):
        resolve(workspace, "fs:write:out/${inputs.name}", name="../../etc/passwd")


def test_expressions_may_compute(workspace):
    entry = "fs:read:${inputs.t + '/{x}'}/**"
    assert resolve(workspace, entry, t="d").permissions == (f"fs:read:{workspace}/d/{{x}}/**",)


def test_run_is_known(workspace):
    found = resolve(workspace, "fs:write:${run.artifacts}/**", run={"artifacts": "/out"})
    assert found.permissions == ("fs:write:/out/**",)


def test_other_domains_are_not_resolved(workspace):
    found = resolve(workspace, "proc:run:wc", "net:get:https://${inputs.h}/**", h="example.org")
    assert found.permissions == ("proc:run:wc", "net:get:https://example.org/**")


@pytest.mark.parametrize(
    ("name", "permission"),
    [
        ("filesystem-read", "fs:read:{}/**"),
        ("filesystem-write", "fs:write:{}/**"),
        ("cargo-execution", "proc:run:cargo"),
        ("cargo-test-execution", "proc:run:cargo"),
        ("git-access", "proc:run:git"),
        ("github-api-access", "net:*:https://api.github.com/**"),
    ],
)
def test_names_of_the_original_stand_for_the_least_that_makes_sense(workspace, name, permission):
    found = resolve(workspace, name)
    assert found.permissions == (permission.format(workspace),)
    assert not found.warnings


@pytest.mark.parametrize(
    "name",
    ["admin-privileges", "ci-integration", "database-access", "kernel-modification", "*", "root"],
)
def test_vague_names_grant_nothing_and_are_warned_about(workspace, name):
    found = resolve(workspace, name)
    assert found.permissions == ()
    assert "grants nothing" in found.warnings[0].message


def test_access_to_the_network_is_reading_only_and_warned_about(workspace):
    found = resolve(workspace, "network-access")
    assert found.permissions == ("net:get:https://**",)
    assert found.warnings


def test_a_misspelt_name_is_told_the_nearest(workspace):
    assert "'filesystem-read'" in resolve(workspace, "filesystem-raed").warnings[0].message


def test_the_same_permission_is_granted_once(workspace):
    assert len(resolve(workspace, "cargo-execution", "test-execution").permissions) == 1


@pytest.mark.parametrize(
    "entry",
    ["fs:read:${inputs.t", "fs:read:${inputs.}", "${inputs.t}:read:/a", "fs::x", "FS:read:x",
     "fs:read:a/**/**", "net:get:https://H/x", "fs:read:${unknown}", "fs:read:"],
)  # fmt: skip
def test_what_is_no_permission_is_refused_with_its_place(workspace, entry):
    with pytest.raises(SpecExpressionError, match=r"capabilities_required\[0\]"):
        resolve(workspace, entry, t="x")


@pytest.mark.parametrize("value", ["", 5, None, ["x"]])
def test_a_value_that_is_no_text_is_refused(workspace, value):
    with pytest.raises(SpecExpressionError):
        resolve(workspace, "fs:read:${inputs.t}/**", t=value)


def test_a_missing_input_is_refused(workspace):
    with pytest.raises(SpecExpressionError, match="inputs"):
        resolve(workspace, "fs:read:${inputs.t}/**")

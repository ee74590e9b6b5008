"""Every fault of a document is refused with its place and a remedy."""

import contextlib
import time

import pytest

from toka.orchestration import (
    DuplicateNameError,
    MissingKeyError,
    SeveralSpecErrors,
    SpecError,
    SpecExpressionError,
    SpecStructureError,
    SpecSyntaxError,
    UnknownKeyError,
    parse_specs,
)

MINIMAL = """\
metadata: {name: one}
tasks:
  default:
    - description: say hello
"""


def refused(text, kind=SpecError, name="one.yaml"):
    with pytest.raises(kind) as caught:
        parse_specs(text.encode(), name)
    return caught.value


@pytest.mark.parametrize(
    ("text", "kind", "line", "path", "words"),
    [
        (MINIMAL + "      steps: [{tool: t, wiht: {}}]", UnknownKeyError, 5,
         "tasks.default[0].steps[0].wiht", "Did you mean 'with'"),
        (MINIMAL + "      priorty: low", UnknownKeyError, 5, "tasks.default[0].priorty",
         "Did you mean 'priority'"),
        (MINIMAL + "      priority: urgent", SpecStructureError, 5, "tasks.default[0].priority",
         "none of critical"),
        (MINIMAL + "securty: {}", UnknownKeyError, 5, "securty", "Did you mean 'security'"),
        (MINIMAL + "security: {sandbox: on}", SpecStructureError, 5, "security.sandbox",
         "true or false"),
        (MINIMAL + "security: {sandbox: 1}", SpecStructureError, 5, "security.sandbox",
         "true or false"),
        (MINIMAL + "security: {resource_limits: {max_memory: much}}", SpecStructureError, 5,
         "security.resource_limits.max_memory", "not a size"),
        (MINIMAL + "security: {resource_limits: {timeout: 5 fortnights}}", SpecStructureError, 5,
         "security.resource_limits.timeout", "not a duration"),
        (MINIMAL + "security: {capabilities_required: ['fs:read:${inputs.}']}",
         SpecExpressionError, 5, "security.capabilities_required[0]", "expression"),
        (MINIMAL + "objectives: [{description: x, check: 'results.'}]", SpecExpressionError, 5,
         "objectives[0].check", "expression"),
        (MINIMAL + "reporting: {channels: [on]}", SpecStructureError, 5, "reporting.channels[0]",
         'quotes: "on"'),
        (MINIMAL + "dependencies: {required: 5}", SpecStructureError, 5, "dependencies.required",
         "list is expected"),
        (MINIMAL + "capabilities: [a]", SpecStructureError, 5, "capabilities", "mapping"),
        (MINIMAL + "budget: {tokens: 1_000}", SpecStructureError, 5, "budget.tokens",
         "plain decimal"),
        (MINIMAL + "entry: nothing", SpecStructureError, 5, "entry", "package.module:function"),
        (MINIMAL + "restart: sometimes", SpecStructureError, 5, "restart", "none of never"),
        ("metadata: {name: a b}\ntasks: {default: [{description: x}]}", SpecStructureError, 1,
         "metadata.name", "cannot name an agent"),
        ("metadata: {name: 5}\ntasks: {default: [{description: x}]}", SpecStructureError, 1,
         "metadata.name", 'quotes: "5"'),
        ("metadata: {}\ntasks: {default: [{description: x}]}", MissingKeyError, 1,
         "metadata.name", "missing"),
        ("metadata: {name: a}", MissingKeyError, 1, "tasks", "at least one task"),
        ("metadata: {name: a}\ntasks: {default: []}", MissingKeyError, 2, "tasks.default",
         "at least one task"),
        ("metadata: {name: a}\ntasks: {default: [{priority: low}]}", MissingKeyError, 2,
         "tasks.default[0].description", "what is to be done"),
        ("metadata: {name: a}\ntasks: [{description: x}]", SpecStructureError, 2, "tasks",
         "mapping"),
        (MINIMAL + "      steps: []", SpecExpressionError, 5, "tasks.default[0].steps",
         "at least one step"),
        (MINIMAL + "      steps: [{tool: t, with: {a: '${unknown}'}}]", SpecExpressionError, 5,
         "tasks.default[0].steps[0].with.a", "unknown"),
        (MINIMAL + "      steps: [{tool: t, with: {a: 017}}]", SpecStructureError, 5,
         "tasks.default[0].steps[0].with.a", "quotes"),
        (MINIMAL + "      steps: [{tool: t, with: {a: 2025-01-01}}]", SpecStructureError, 5,
         "tasks.default[0].steps[0].with.a", "date"),
        (MINIMAL + "      steps: [{tool: t}]\n      outputs: {a: '${b}'}", SpecExpressionError, 6,
         "tasks.default[0].outputs.a", "undeclared"),
        ("name: a\ntasks: {default: [{description: 'look at ${inputs.}'}]}", SpecStructureError, 2,
         "tasks.default[0].description", "expression"),
        (MINIMAL + "      steps: [{tool: t}]\n      entry: a:b", SpecStructureError, 6,
         "tasks.default[0].entry", "not both"),
    ],
)  # fmt: skip
def test_faults_name_place_and_remedy(text, kind, line, path, words):
    error = refused(text, kind)
    assert error.code.startswith("spec.")
    assert (error.place.file, error.place.line, error.place.path) == ("one.yaml", line, path)
    assert words in str(error)
    assert str(error).startswith(f"one.yaml:{line}:")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("metadata: {name: a\nb", 3, "flow mapping"),
        ("a: b: c", 1, "not allowed"),
        ("a:\n\t- b", 2, "cannot start any token"),
        ("a: 1\nb: 2\na: 3", 3, "second time"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a: !!python/object/apply:os.system [ls]", 1, "tag"),
        ("a: !custom b", 1, "tag"),
        ("a: *b", 1, "names no finished value"),
        ("a: &b [*b]", 1, "names no finished value"),
        ("? [a]\n: b", 1, "not plain text"),
        ("a: &x {b: 1}\nc: {<<: *x}", 2, "merge"),
        ("a: " + "[" * 100 + "]" * 100, 1, "nested"),
        ('a: "\\0"', 1, "NUL"),
        ("a: 99999999999999999999", 1, "64 bits"),
    ],
)
def test_faults_of_yaml_have_lines(text, line, words):
    error = refused(text, SpecSyntaxError)
    assert error.place.line == line
    assert words in str(error)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('{"a": 1,\n"a": 2}', 2, "again"),
        ('{"a": 1\n"b": 2}', 2, "','"),
        ('{"a": NaN}', 0, "NaN"),
        ('{"a": 1e999}', 1, "finite"),
        ('{"a": "\\ud800"}', 1, "surrogate"),
        ('{"a": "\\u0000"}', 1, "NUL"),
        ('{"a": 123456789012345678901}', 1, "64 bits"),
        ('{"a": ' + "[" * 100 + "]" * 100 + "}", 1, "nested"),
        ('{"a": ' + "[" * 100_000, 0, "nested"),
        ('{"a": 1} x', 1, "Extra data"),
    ],
)
def test_faults_of_json_have_lines(text, line, words):
    error = refused(text, SpecSyntaxError, "one.json")
    assert error.place.line == line
    assert words in str(error)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a = 1\na = 2", 2, "overwrite"),
        ("a = 1\nb =", 2, "Invalid value"),
        ("a = nan", 1, "finite"),
        ("a = 123456789012345678901", 1, "64 bits"),
        ("x = 1\na = " + "[" * 100 + "]" * 100, 2, "nested"),
        (".".join("a" * 100) + " = 1", 1, "dotted"),
    ],
)
def test_faults_of_toml_have_lines(text, line, words):
    error = refused(text, SpecSyntaxError, "one.toml")
    assert error.place.line == line
    assert words in str(error)


def test_structural_faults_have_lines_in_json_and_toml():
    text = '{"metadata": {"name": "a"},\n "tasks": {"default": [\n  {"descripton": "x"}]}}'
    assert refused(text, name="a.json").errors[-1].place.line == 3
    toml = '[metadata]\nname = "a"\n\n[[tasks.default]]\ndescription = "x"\n"priorty" = "low"\n'
    error = refused(toml, UnknownKeyError, "a.toml")
    assert (error.place.line, error.place.path) == (6, "tasks.default[0].priorty")


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n"])
@pytest.mark.parametrize("name", ["a.yaml", "a.toml", "a.json"])
def test_an_empty_document_is_refused(text, name):
    if name == "a.yaml" or not text.strip():
        assert refused(text, SpecError, name).message


@pytest.mark.parametrize("text", ["- a", "just text", "5", "null", "[1]"])
def test_a_root_that_is_no_mapping_is_refused(text):
    refused(text, SpecStructureError if text != "null" else SpecError)


def test_tasks_of_one_id_are_refused():
    text = "name: a\ntasks: {default: [{id: x, description: p}, {id: x, description: q}]}"
    refused(text, DuplicateNameError)


def test_a_misspelt_key_far_from_any_other_lists_what_is_known():
    error = refused(MINIMAL + "      zzzzz: 1", UnknownKeyError)
    assert "Known here: " in str(error)


def test_several_faults_of_one_document_are_told_together():
    error = refused("metadata: {name: a b, vers: 1}\ntasks: {default: [{}]}", SeveralSpecErrors)
    assert [each.code for each in error.errors] == [
        "spec.structure",
        "spec.unknown_key",
        "spec.missing_key",
    ]
    assert error.message.count("\n") == 3


def test_the_number_of_faults_told_is_bounded():
    text = MINIMAL + "".join(f"      k{index}: 1\n" for index in range(100))
    error = refused(text, SeveralSpecErrors)
    assert len(error.errors) == 100
    assert error.message.endswith("and 80 more.")


def test_a_bomb_of_aliases_ends_early():
    lines = ['a: &a ["lol","lol","lol","lol","lol","lol","lol","lol","lol"]']
    for last, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{','.join([f'*{last}'] * 9)}]")
    started = time.process_time()
    assert "aliases" in str(refused("\n".join(lines), SpecSyntaxError))
    assert time.process_time() - started < 2


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", '[{"a":'])
def test_deep_nesting_ends_early(opening):
    started = time.process_time()
    refused("a:\n  " + opening * 100_000, SpecSyntaxError)
    assert time.process_time() - started < 2


def test_a_long_dotted_key_ends_early():
    started = time.process_time()
    refused(".".join(["a"] * 250_000) + " = 1", SpecSyntaxError, "a.toml")
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (MINIMAL + "x-a: 1" + "0_" * 100_000 + "x", "a.yaml"),
        (MINIMAL + "".join(f"k{index}: 1\n" for index in range(10_000)), "a.yaml"),
        (MINIMAL + "security: {capabilities_required: ['fs:read:${" + "}" * 20_000, "a.yaml"),
        ('x = "' + '\\"' * 100_000, "a.toml"),
        ("x = '''" + "'\n" * 100_000 + "'''", "a.toml"),
        ('{"a": "' + '\\"' * 100_000, "a.json"),
    ],
)
def test_texts_made_to_be_slow_are_not(text, name):
    started = time.process_time()
    with contextlib.suppress(SpecError):
        parse_specs(text.encode(), name)
    assert time.process_time() - started < 3

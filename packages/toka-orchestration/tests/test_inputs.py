import msgspec
import pytest

from toka.orchestration import SeveralSpecErrors, SpecInputError, SpecSet, resolve_inputs
from toka.types import AgentSpec, InputDefinition, Metadata, StepDefinition, TaskDefinition


def agent(*inputs, name="a", **fields):
    return AgentSpec(Metadata(name), inputs=inputs, **fields)


def declare(name, default=None, **fields):
    return InputDefinition(name, default=msgspec.Raw(msgspec.json.encode(default)), **fields)


def test_defaults_are_taken(tmp_path):
    specs = SpecSet((agent(declare("depth", 3, kind="integer"), declare("note", "x")),))
    assert resolve_inputs(specs, {}, tmp_path) == {"depth": 3, "note": "x"}


def test_a_path_becomes_absolute(tmp_path):
    specs = SpecSet((agent(declare("target", ".", kind="path")),))
    assert resolve_inputs(specs, {}, tmp_path) == {"target": str(tmp_path)}
    assert resolve_inputs(specs, {"target": "a b"}, tmp_path) == {"target": f"{tmp_path}/a b"}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [("integer", "-4", -4), ("number", "1.5", 1.5), ("boolean", "True", True), ("text", "4", "4")],
)
def test_values_are_read_by_type(tmp_path, kind, text, value):
    specs = SpecSet((agent(declare("x", kind=kind)),))
    assert resolve_inputs(specs, {"x": text}, tmp_path) == {"x": value}


@pytest.mark.parametrize(
    ("kind", "text"), [("integer", "4.5"), ("number", "x"), ("boolean", "maybe")]
)
def test_a_value_of_the_wrong_type_is_refused(tmp_path, kind, text):
    with pytest.raises(SpecInputError, match="'x' is no"):
        resolve_inputs(SpecSet((agent(declare("x", kind=kind)),)), {"x": text}, tmp_path)


def test_a_missing_required_input_says_how_to_give_it(tmp_path):
    specs = SpecSet((agent(InputDefinition("file", "to review", required=True)),))
    with pytest.raises(SpecInputError, match=r"'file' \(to review\) is missing"):
        resolve_inputs(specs, {}, tmp_path)


def test_an_unknown_input_is_told_the_nearest(tmp_path):
    specs = SpecSet((agent(declare("target", ".")),))
    with pytest.raises(SpecInputError, match="Did you mean 'target'"):
        resolve_inputs(specs, {"traget": "x"}, tmp_path)


def test_an_undeclared_input_that_an_expression_mentions_is_taken(tmp_path):
    step = StepDefinition("list_files", msgspec.Raw(b'{"with":{"path":"${inputs.target}"}}'))
    specs = SpecSet((agent(tasks=(TaskDefinition("t", "d", steps=(step,)),)),))
    assert resolve_inputs(specs, {"target": "x"}, tmp_path) == {"target": "x"}


def test_an_undeclared_input_may_be_a_condition(tmp_path):
    specs = SpecSet((agent(tasks=(TaskDefinition("t", "d", condition="deep"),)),))
    assert resolve_inputs(specs, {"deep": "true"}, tmp_path) == {"deep": True}
    assert resolve_inputs(specs, {"deep": "false"}, tmp_path) == {"deep": False}
    with pytest.raises(SpecInputError):
        resolve_inputs(specs, {"deep": "perhaps"}, tmp_path)


def test_code_without_declarations_may_be_given_anything(tmp_path):
    specs = SpecSet((agent(tasks=(TaskDefinition("t", "d"),), entry="m:f"),))
    assert resolve_inputs(specs, {"any": "x"}, tmp_path) == {"any": "x"}


def test_agents_may_declare_one_input_alike(tmp_path):
    one, two = agent(declare("t", ".")), agent(declare("t", ".", description="d"), name="b")
    assert resolve_inputs(SpecSet((one, two)), {}, tmp_path) == {"t": "."}


def test_agents_that_declare_one_input_differently_are_refused(tmp_path):
    one, two = agent(declare("t", ".")), agent(declare("t", "x"), name="b")
    with pytest.raises(SpecInputError, match="Another agent declares 't'"):
        resolve_inputs(SpecSet((one, two)), {}, tmp_path)


def test_all_faults_are_told_together(tmp_path):
    specs = SpecSet((agent(InputDefinition("x", required=True)),))
    with pytest.raises(SeveralSpecErrors):
        resolve_inputs(specs, {"y": "1"}, tmp_path)

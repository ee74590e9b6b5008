import msgspec

from toka.types import (
    AgentSpec,
    Dependencies,
    Dependency,
    InputDefinition,
    Metadata,
    ModelSettings,
    RetryDefinition,
    StepDefinition,
    TaskDefinition,
)

STEP = StepDefinition("read_file", msgspec.Raw(b'{"tool":"read_file","with":{"path":"a"}}'))
SPEC = AgentSpec(
    Metadata("inventory", version="v1.0.0"),
    tasks=(TaskDefinition("count", "count lines", steps=(STEP,), retry=RetryDefinition(3)),),
    dependencies=Dependencies(required=(Dependency("build", "needs artefacts"),)),
    inputs=(InputDefinition("target", kind="path", default=msgspec.Raw(b'"."')),),
    model=ModelSettings("small", max_turns=4, temperature=0.5),
    extra=msgspec.Raw(b'{"notes":[1,2.5]}'),
)


def test_a_specification_survives_json():
    data = msgspec.json.encode(SPEC, order="sorted")
    assert msgspec.json.decode(data, type=AgentSpec) == SPEC


def test_a_task_with_steps_is_a_playbook():
    assert SPEC.way(SPEC.tasks[0]) == "playbook"


def test_the_entry_of_an_agent_serves_tasks_that_say_nothing():
    spec = AgentSpec(Metadata("a"), entry="m:f")
    assert spec.way(TaskDefinition("t", "do")) == "code"
    assert spec.entry_of(TaskDefinition("t", "do")) == "m:f"


def test_a_task_with_a_way_of_its_own_ignores_the_entry_of_its_agent():
    spec = AgentSpec(Metadata("a"), entry="m:f")
    assert spec.entry_of(TaskDefinition("t", "do", steps=(STEP,))) == ""
    assert spec.way(TaskDefinition("t", "do", model=ModelSettings("big"))) == "model"
    assert spec.entry_of(TaskDefinition("t", "do", entry="m:g")) == "m:g"


def test_a_task_without_steps_and_entry_is_for_a_model():
    assert AgentSpec(Metadata("a")).way(TaskDefinition("t", "do")) == "model"


def test_model_settings_of_a_task_stand_over_those_of_its_agent():
    task = TaskDefinition("t", "do", model=ModelSettings("big", temperature=0.0))
    assert SPEC.model_of(task) == ModelSettings("big", max_turns=4, temperature=0.0)
    assert SPEC.model_of(SPEC.tasks[0]) == SPEC.model

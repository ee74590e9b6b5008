import builtins
from collections.abc import Sequence
from types import ModuleType

import pytest

import toka.store.core.semantic
from toka.store.core import Event
from toka.store.core.semantic import (
    Anomaly,
    Classification,
    Classifier,
    DuplicatePlugin,
    InvalidConfiguration,
    InvalidFinding,
    InvalidPlugin,
    PluginConfig,
    PluginInfo,
    PluginRegistry,
    Relationship,
    SchemaUnchecked,
    UnknownPlugin,
)
from toka.types import EventId, JsonObject

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"limit": {"type": "integer", "maximum": 10}, "key": {"type": "string"}},
    "additionalProperties": False,
}
ID = EventId("01J0000000000000000000000A")


class Kinds:
    def __init__(self, name: str = "kinds", schema: JsonObject | None = SCHEMA) -> None:
        self.info = PluginInfo(name, schema=schema)
        self.parameters: list[JsonObject] = []

    def configure(self, parameters: JsonObject) -> None:
        self.parameters.append(parameters)

    async def classify(self, events: Sequence[Event]) -> list[Classification]:
        return [Classification(event.id, event.kind, 1.0) for event in events]


class Watcher(Kinds):
    async def learn(self, events: Sequence[Event]) -> None: ...

    async def detect(self, events: Sequence[Event]) -> list[Anomaly]:
        return [Anomaly(event.id, "seen", 0.0, "It is there.") for event in events]


class Nothing:
    info = PluginInfo("nothing")

    def configure(self, parameters: JsonObject) -> None: ...


def test_all_lists_exactly_the_public_names() -> None:
    public = {
        name
        for name, value in vars(toka.store.core.semantic).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(toka.store.core.semantic.__all__) == public


def test_a_plugin_is_found_under_each_of_its_families() -> None:
    registry = PluginRegistry()
    kinds, watcher = Kinds(), Watcher("watcher")
    registry.register(kinds)
    registry.register(watcher)
    assert registry.classifiers() == [kinds, watcher]
    assert registry.detectors() == [watcher]
    assert registry.extractors() == []
    assert registry.get("watcher") is watcher
    assert isinstance(kinds, Classifier)


def test_a_plugin_is_configured_when_it_is_registered() -> None:
    registry, kinds = PluginRegistry(), Kinds()
    registry.register(kinds, PluginConfig("kinds", {"limit": 3}))
    registry.configure(PluginConfig("kinds", {"limit": 4}))
    assert kinds.parameters == [{"limit": 3}, {"limit": 4}]
    assert registry.config("kinds").parameters == {"limit": 4}


def test_a_plugin_that_is_switched_off_is_not_asked() -> None:
    registry = PluginRegistry()
    registry.register(Kinds(), PluginConfig("kinds", enabled=False))
    assert registry.classifiers() == []
    assert len(registry.plugins()) == 1
    registry.configure(PluginConfig("kinds"))
    assert len(registry.classifiers()) == 1


@pytest.mark.parametrize(
    ("parameters", "path", "rule"),
    [
        ({"limit": 11}, "$.limit", "maximum"),
        ({"limit": "3"}, "$.limit", "type"),
        ({"other": 1}, "$", "additionalProperties"),
    ],
)
def test_parameters_that_break_the_schema_are_refused_and_the_old_stay(
    parameters: JsonObject, path: str, rule: str
) -> None:
    registry, kinds = PluginRegistry(), Kinds()
    registry.register(kinds, PluginConfig("kinds", {"limit": 3}))
    with pytest.raises(InvalidConfiguration) as caught:
        registry.configure(PluginConfig("kinds", parameters))
    assert caught.value.details == {"plugin": "kinds", "path": path, "rule": rule}
    assert registry.config("kinds").parameters == {"limit": 3}
    assert kinds.parameters == [{"limit": 3}]


def test_a_refused_value_is_not_repeated() -> None:
    registry = PluginRegistry()
    config = PluginConfig("kinds", {"limit": "hunter2"})
    with pytest.raises(InvalidConfiguration) as caught:
        registry.register(Kinds(), config)
    assert "hunter2" not in str(caught.value) + repr(config)
    assert registry.plugins() == []


def test_a_plugin_without_schema_takes_no_parameters() -> None:
    with pytest.raises(InvalidConfiguration):
        PluginRegistry().register(Kinds(schema=None), PluginConfig("kinds", {"limit": 1}))


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"$ref": "http://127.0.0.1:9/schema"}])
def test_a_schema_that_is_none_or_lies_elsewhere_is_refused(schema: JsonObject) -> None:
    registry = PluginRegistry()
    with pytest.raises(InvalidPlugin):
        registry.register(Kinds(schema=schema))
    assert registry.plugins() == []


def test_what_is_no_plugin_is_refused() -> None:
    registry = PluginRegistry()
    for plugin in (Nothing(), Kinds("")):
        with pytest.raises(InvalidPlugin):
            registry.register(plugin)
    registry.register(Kinds())
    with pytest.raises(DuplicatePlugin):
        registry.register(Kinds())
    with pytest.raises(UnknownPlugin):
        registry.register(Kinds("other"), PluginConfig("kinds"))


def test_an_unknown_plugin_is_named() -> None:
    registry = PluginRegistry()
    registry.register(Kinds())
    for call in (registry.get, registry.config, registry.unregister):
        with pytest.raises(UnknownPlugin, match="Registered: kinds"):
            call("kind")
    registry.unregister("kinds")
    assert registry.plugins() == []


def test_a_schema_that_nothing_checks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: object) -> ModuleType:
        if name == "jsonschema":
            raise ImportError(name)
        return imported(name, *rest)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SchemaUnchecked, match="semantic"):
        PluginRegistry().register(Kinds())
    PluginRegistry().register(Kinds(schema=None))


@pytest.mark.parametrize("number", [-0.1, 1.1, float("nan")])
def test_numbers_outside_their_range_are_refused(number: float) -> None:
    with pytest.raises(InvalidFinding):
        Classification(ID, "build", number)
    with pytest.raises(InvalidFinding):
        Relationship(ID, ID, "caused", number)
    with pytest.raises(InvalidFinding):
        Anomaly(ID, "rate", number, "far")


def test_a_nameless_finding_is_refused() -> None:
    with pytest.raises(InvalidFinding):
        Classification(ID, "", 0.5)

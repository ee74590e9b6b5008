"""Whatever comes, the answer is a specification or a `SpecError`."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toka.orchestration import (
    SpecError,
    parse_specs,
)

NAMES = st.sampled_from(["a.yaml", "a.json", "a.toml"])
WORDS = st.sampled_from(
    [
        "metadata",
        "name",
        "spec",
        "tasks",
        "default",
        "steps",
        "tool",
        "with",
        "as",
        "security",
        "capabilities_required",
        "inputs",
        "objectives",
        "dependencies",
        "required",
        "model",
        "retry",
        "attempts",
        "conditional",
        "agents",
        "${",
        "}",
        "on",
        "1",
    ]
)
VALUES = st.recursive(
    WORDS | st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=25,
)


def survives(data, name):
    error = None
    try:
        assert parse_specs(data, name).agents
    except SpecError as caught:
        error = caught
    assert error is None or (error.code.startswith("spec.") and str(error))


@given(st.binary(max_size=200), NAMES)
def test_any_bytes(data, name):
    survives(data, name)


@given(st.text(alphabet="abc:-[]{}&*!|>'\"%@`#\n\t ,?<=.1~", max_size=60), NAMES)
def test_any_punctuation(text, name):
    survives(text.encode(), name)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(VALUES, st.sampled_from(["a.yaml", "a.json"]))
def test_any_document(value, name):
    survives(json.dumps(value).encode(), name)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(WORDS, VALUES, max_size=8))
def test_any_blocks_beside_a_good_one(blocks):
    good = {"metadata": {"name": "a"}, "tasks": {"default": [{"description": "x"}]}}
    survives(json.dumps(blocks | good).encode(), "a.json")
    survives(json.dumps(good | blocks).encode(), "a.json")

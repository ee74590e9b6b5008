from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.llm_gateway import (
    ConfigurationInvalid,
    Cost,
    ModelMessage,
    ModelRequest,
    OpenAIChatModel,
    PriceTable,
    Usage,
)

TABLE = PriceTable.built_in()
counts = st.integers(0, 400_000)
usages = st.builds(Usage, counts, counts, counts, counts)
known = st.sampled_from(sorted(TABLE.models))


def test_the_table_is_dated():
    assert TABLE.dated >= "2026-11-21"


@pytest.mark.parametrize(
    ("provider", "model", "usage", "micro"),
    [
        ("anthropic", "claude-sonnet-5-5", Usage(1_000_000, 0), 2_000_000),
        ("anthropic", "claude-sonnet-5-5", Usage(0, 0, 1_000_000, 0), 100_000),
        ("anthropic", "claude-sonnet-5-5", Usage(0, 0, 0, 1_000_000), 2_500_000),
        ("anthropic", "claude-haiku-4-5-20251001", Usage(1, 1), 6),
        ("anthropic", "claude-haiku-5-5", Usage(100_000, 0), 10_000),
        ("anthropic", "claude-haiku-5-5", Usage(100_000, 1_000, 1), 50_000 + 2_500 + 1),
        ("openai", "gpt-4o-2024-08-06", Usage(3, 7, 5), 84),
        ("openai", "gpt-6.1-sol", Usage(272_001, 0), 1_088_004),
    ],
)
def test_costs_are_exact_and_rounded_up(provider, model, usage, micro):
    assert TABLE.cost(provider, model, usage) == Cost(micro)


def test_what_is_unknown_has_no_cost():
    assert TABLE.cost("openai", "llama-3", Usage(1, 1)) is None
    assert TABLE.cost("elsewhere", "gpt-4o", Usage(1, 1)) is None
    assert TABLE.cost("openai", "gpt-4o", Usage(reported=False)) is None


@given(known, usages)
def test_the_ceiling_is_never_exceeded(entry, usage):
    price = TABLE.models[entry]
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    assert price.cost(usage) <= price.ceiling(prompt, usage.output_tokens)
    assert price.ceiling(prompt, usage.output_tokens) <= price.ceiling(
        prompt + 1, usage.output_tokens + 1
    )


def test_an_override_replaces_entries_and_keeps_the_rest():
    own = PriceTable.parse('dated = "2027-01-01"\n[openai]\ngpt-4o = { input = 1, output = 2.5 }')
    merged = TABLE.merged(own)
    assert merged.cost("openai", "gpt-4o", Usage(2, 2)) == Cost(7)
    assert merged.find("openai", "gpt-5") == TABLE.find("openai", "gpt-5")
    assert merged.dated == "2027-01-01"


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "openai = 3",
        "[openai]\nm = 3",
        "[openai]\nm = { input = 1 }",
        "[openai]\nm = { input = 1, output = 1, outptu = 2 }",
        "[openai]\nm = { input = -1, output = 1 }",
        "[openai]\nm = { input = 1e3, output = 1 }",
        "[openai]\nm = { input = 0.1234567, output = 1 }",
        "[openai]\nm = { input = 1, output = 1, long_above = 5 }",
        "[openai]\nm = { input = 1, output = 1, long_above = 0, long = {input=1,output=1} }",
    ],
)
def test_a_broken_table_is_refused(text):
    with pytest.raises(ConfigurationInvalid):
        PriceTable.parse(text)


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts, st.integers(1, 100_000))
def test_an_estimate_counts_the_whole_request_and_reserves_the_whole_answer(text, limit):
    model = OpenAIChatModel("gpt-4o", None)
    request = ModelRequest((ModelMessage.user(text),), max_output_tokens=limit)
    estimate = model.estimate(request)
    assert estimate.input_tokens * 3 >= len(text.encode())
    assert estimate.max_output_tokens == limit
    assert estimate.cost is not None
    assert estimate.cost.micro_usd >= (estimate.input_tokens * 5 + limit * 20) // 2


def test_an_estimate_without_a_price_has_no_cost():
    model = OpenAIChatModel("llama-3", None)
    assert model.estimate(ModelRequest((ModelMessage.user("x"),))).cost is None


def test_money_is_shown_in_dollars():
    assert str(Cost(1_234_567)) == "$1.234567"
    assert Cost(1) + Cost(2) == Cost(3)

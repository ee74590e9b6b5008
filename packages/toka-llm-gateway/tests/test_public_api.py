from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import toka.llm_gateway
import toka.llm_gateway.guards
import toka.llm_gateway.server
import toka.llm_gateway.telemetry
import toka.llm_gateway.testing

MODULES = [
    toka.llm_gateway,
    toka.llm_gateway.guards,
    toka.llm_gateway.server,
    toka.llm_gateway.telemetry,
    toka.llm_gateway.testing,
]


@pytest.mark.parametrize("module", MODULES)
def test_all_lists_the_public_names(module):
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert set(module.__all__) == public


@pytest.mark.parametrize("module", MODULES)
def test_every_public_class_and_function_is_documented(module):
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


SDKS = "anthropic boto3 botocore google.genai litellm mistralai openai"
HEAVY = (
    "aiohttp anyio asyncio detect_secrets email jsonschema numpy opentelemetry random sqlite3 ssl"
)


def test_import_loads_no_provider_sdk_and_nothing_heavy():
    code = (
        "import sys, toka.llm_gateway;"
        f"print([m for m in '{SDKS} {HEAVY} asyncio ssl'.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"


def test_import_of_the_testing_tools_loads_no_client():
    code = (
        "import sys, toka.llm_gateway.testing;"
        "print([m for m in 'aiohttp tomllib email'.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"

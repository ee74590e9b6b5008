"""The real server, asked what its API document allows and what it does not.

Each operation is asked a bounded number of times, and always the same. No answer is outside the
document, and none is a fault of the server.
"""

from contextlib import suppress
from functools import partial

import anyio.to_thread
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.anyio

EXAMPLES = 4
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
STREAMS = "/v1/events"
"""Has no end, and is none of JSON; its own tests ask it."""


def explore(
    document: dict, url: str, token: str, mode: GenerationMode, names: dict[str, str]
) -> set[tuple[str, str]]:
    """Ask every operation of the document; return those that were asked.

    Args:
        document: The API document.
        url: Of the server.
        token: That covers everything.
        mode: Whether to ask what the document allows or what it does not.
        names: Of things that are there, by the parts of paths that name them.
    """
    schema = schemathesis.openapi.from_dict(document).exclude(path=STREAMS)
    asked = set()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        )
        @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
        def ask(case: schemathesis.Case, real: bool) -> None:
            asked.add((case.method, case.path))
            if real:
                known = names.keys() & case.path_parameters.keys()
                case.path_parameters.update({name: names[name] for name in known})
            headers = {"Authorization": f"Bearer {token}"}
            case.call_and_validate(base_url=url, headers=headers, checks=CHECKS, timeout=10)

        # Where nothing can be said, nothing wrong can be said.
        with suppress(Unsatisfiable):
            ask()
    return asked


@pytest.mark.parametrize("mode", list(GenerationMode))
async def test_every_answer_is_one_that_the_document_tells_of(served, mode):
    run = await served.begin("asking.yaml")
    waiting = await served.until("/v1/approvals", lambda body: body["approvals"])
    (question,) = waiting["approvals"]
    names = {"run": run, "agent": f"{run}/asking", "approval": question["approval"]}
    names["event"] = question["event"]
    document = (await served.ask("/openapi.json"))[1]
    asked = await anyio.to_thread.run_sync(
        partial(explore, document, served.url, served.token(), mode, names)
    )
    wanted = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if path != STREAMS and (mode == GenerationMode.POSITIVE or operation["parameters"])
    }
    assert asked >= wanted

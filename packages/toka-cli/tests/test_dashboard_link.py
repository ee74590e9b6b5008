"""The link that signs in to the dashboard."""

import re

from toka.cli._dashboard_link import sign_in_link
from toka.cli._data_directory import DataDirectory
from toka.orchestration_service import SignInLinks
from toka.types import SystemClock


def test_a_link_is_printed_if_it_is_asked_for(command, served):
    # The fixture waits for the line behind the first one, which is the link here.
    with served(command, "--print-link", "--print-token") as process:
        link = process.token
    assert re.search(rf"{process.url}/ui/login#[\w-]{{32}}$", link)
    assert "eyJ" not in link


def test_no_link_is_printed_unless_asked_for(command, served):
    with served(command, "--print-token") as process:
        pass
    assert "/ui/login" not in process.token + process.rest + process.err


def test_its_session_may_do_what_an_operator_does_and_what_was_allowed(tmp_path):
    clock = SystemClock()
    keys, links = DataDirectory(tmp_path / "data").keys(clock), SignInLinks(clock)
    link = sign_in_link(
        links,
        keys,
        "http://0.0.0.0:8080",
        workspace=tmp_path,
        artifacts=tmp_path / "data" / "runs",
        allowed=("model:call:**",),
    )
    address, _, code = link.partition("#")
    assert address == "http://127.0.0.1:8080/ui/login"
    claims = keys.validator.validate(links.redeem(code))
    assert claims.subject == "operator"
    for needed in ("run:start:x", f"fs:read:{tmp_path}/a", "model:call:x", "tool:read:all"):
        assert claims.granted.covers(needed), needed
    assert not claims.granted.covers(f"fs:write:{tmp_path}/a")

"""`toka tools`: the same checks as in a run."""

import io
import json


def test_lists_every_tool_with_its_parameters(toka):
    names = {tool["name"] for tool in toka("tools", "list", "--json").json}
    assert {"read_file", "write_file", "list_files", "search_files", "run_command"} <= names
    text = toka("tools", "list").out
    assert "takes path" in text
    assert "read_only" in text


def test_calls_what_is_allowed(toka, tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    arguments = json.dumps({"path": "a.txt"})
    result = toka(
        "tools", "call", "read_file", "--args", arguments, "--allow", f"fs:read:{tmp_path}/**"
    )
    assert result.status == 0, result.err
    assert "hello" in result.out


def test_refuses_what_is_not_allowed(toka, tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    arguments = json.dumps({"path": "a.txt"})
    for allowed in ((), ("--allow", f"fs:write:{tmp_path}/**"), ("--allow", "fs:read:/nowhere/**")):
        result = toka("tools", "call", "read_file", "--args", arguments, *allowed)
        assert result.status == 5
        assert "hello" not in result.out
        assert "[tools.access_denied]" in result.err


def test_arguments_come_from_input(toka, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO('{"path": "."}'))
    result = toka("tools", "call", "list_files", "--args", "-", "--allow", f"fs:read:{tmp_path}/**")
    assert result.status == 0


def test_bad_calls_are_usage_errors(toka):
    for name, arguments in (("raed_file", "{}"), ("read_file", "{"), ("read_file", "{}")):
        result = toka("tools", "call", name, "--args", arguments)
        assert result.status == 2, result.err


def test_a_call_that_fails_is_told(toka, tmp_path):
    arguments = json.dumps({"path": "missing"})
    result = toka(
        "tools", "call", "read_file", "--args", arguments, "--allow", f"fs:read:{tmp_path}/**"
    )
    assert result.status == 1
    assert "missing" in result.err


def test_a_bad_permission_is_a_usage_error(toka):
    assert toka("tools", "call", "read_file", "--allow", "nonsense").status == 2


def test_says_which_levels_of_the_sandbox_hold(toka):
    report = toka("tools", "sandbox", "--json").json
    assert list(report) == ["none", "limits", "landlock", "namespaces"]
    assert report["limits"]["proven"]
    text = toka("tools", "sandbox").out
    assert "limits" in text
    assert "ways tried" in text


def test_a_command_is_run_in_the_sandbox_that_is_asked_for(toka):
    arguments = json.dumps({"argv": ["cat", "/etc/passwd"]})
    call = ("tools", "call", "run_command", "--args", arguments, "--allow", "proc:run:cat")
    assert "root:" in toka(*call).json["stdout"]
    confined = toka(*call, "--sandbox", "landlock")
    if confined.status == 0:
        assert (confined.json["stdout"], confined.json["sandbox"]) == ("", "landlock")
    else:  # a machine that does not prove the level
        assert "tools.sandbox_unavailable" in confined.err
    assert toka(*call, "--sandbox", "moon").status == 2


DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Pets", "version": "1"},
    "paths": {
        "/pets/{id}": {
            "get": {
                "operationId": "getPet",
                "summary": "Return one pet.",
                "parameters": [{"name": "id", "in": "path", "required": True}],
                "security": [{"key": []}],
            },
            "post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "x"}}}}},
        }
    },
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}},
}


def test_lists_the_operations_of_a_document_and_says_what_is_no_tool(toka, tmp_path):
    file = tmp_path / "pets.json"
    file.write_text(json.dumps(DOCUMENT))
    server = ("--server", "https://pets.example/v1")
    listed = toka("tools", "list", "--openapi", str(file), *server, "--json")
    assert [tool["name"] for tool in listed.json] == ["get_pet"]
    assert "POST /pets/{id} is no tool" in listed.err
    assert "takes id" in toka("tools", "list", "--openapi", str(file), *server).out


def test_calls_an_operation_of_a_document_under_the_same_checks(toka, tmp_path, monkeypatch):
    file = tmp_path / "pets.json"
    file.write_text(json.dumps(DOCUMENT))
    monkeypatch.setenv("TOKA_SECRET_MINE", "s3cr3t")
    command = ("tools", "call", "get_pet", "--openapi", str(file), "--args", '{"id": "7"}')
    asked = (*command, "--server", "http://127.0.0.1:8181", "--secret", "key=mine")
    for allowed, needed in (
        ((), "net:get:http://127.0.0.1:8181/pets/7"),
        (("--allow", "net:get:http://127.0.0.1:8181/**"), "secret:use:mine"),
        (("--allow", "net:get:http://*:*/**", "--allow", "secret:use:mine"), "not a public"),
    ):
        result = toka(*asked, *allowed)
        assert result.status == 5
        assert needed in result.err
        assert "s3cr3t" not in result.err
    assert toka(*command, "--server", "http://127.0.0.1:8181").status == 5


def test_a_document_that_is_none_is_told(toka, tmp_path):
    result = toka("tools", "list", "--openapi", str(tmp_path / "missing.json"))
    assert result.status != 0
    assert "[tools.openapi_invalid]" in result.err
    for wrong in (("--server", "https://a.example"), ("--secret", "key=x")):
        assert toka("tools", "list", *wrong).status == 2
    secret = toka("tools", "list", "--openapi", "a.json", "--secret", "ghp_REAL")
    assert secret.status == 2
    assert "REAL" not in secret.err

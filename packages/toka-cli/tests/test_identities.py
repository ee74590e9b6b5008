"""Tokens for credentials from outside: what the operator writes, and a service that acts by it."""

import base64
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from toka.auth import EXCHANGE_GRANT, JWT_TYPE
from toka.capability.delegation import narrow
from toka.cli._errors import IdentitiesUnusable
from toka.cli._identities import Identities, read_identities

RULE = """
[[issuer]]
issuer = "{issuer}"
audience = "toka"

[[issuer.rule]]
where = {{ groups = "ops" }}
subject_prefix = "example/"
permissions = ["run:read:*", "auth:introspect:token"]
"""
API_KEY = f"""
[[api_key]]
key_id = "{"0" * 16}"
digest = "{"0" * 64}"
subject = "ci"
permissions = ["run:read:*"]
"""


def segment(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An issuer of OpenID Connect, on this machine."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        public = segment(self.key.public_key().public_bytes_raw())
        self.jwks = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": public, "kid": "k"}]}
        self.url = ""

    def sign(self, **changes: object) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "u-1",
            "aud": "toka",
            "iat": now,
            "exp": now + 600,
            "groups": ["dev", "ops"],
        }
        message = f"{segment({'alg': 'EdDSA', 'kid': 'k'})}.{segment({**claims, **changes})}"
        return f"{message}.{segment(self.key.sign(message.encode()))}"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    known = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            discovered = {"issuer": known.url, "jwks_uri": f"{known.url}/keys"}
            body = json.dumps(known.jwks if self.path == "/keys" else discovered).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - its name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield known
        server.shutdown()
        thread.join()


def ask(url: str, form: dict[str, str] | None = None, token: str = "") -> tuple[int, Any, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None if form is None else urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - our own service
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - see above
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


def exchange(url: str, credential: str) -> tuple[int, Any]:
    form = {
        "grant_type": EXCHANGE_GRANT,
        "subject_token": credential,
        "subject_token_type": JWT_TYPE,
    }
    return ask(f"{url}/auth/token", form)[:2]


@pytest.fixture
def file(data: Path) -> Path:
    data.mkdir(exist_ok=True)
    return data / "identities.toml"


def test_an_outside_identity_becomes_a_token_of_the_service(command, served, file, issuer):
    file.write_text(RULE.format(issuer=issuer.url))
    with served(command) as process:
        status, body = exchange(process.url, issuer.sign())
        assert (status, body["scope"]) == (200, "run:read:* auth:introspect:token")
        assert 500 < body["expires_in"] <= 600
        token = body["access_token"]
        assert ask(f"{process.url}/v1/runs", token=token)[0] == 200
        about = ask(f"{process.url}/auth/introspect", {"token": token}, token)[1]
        assert (about["active"], about["sub"]) == (True, "example/u-1")
        for wrong in (issuer.sign(groups=["dev"]), issuer.sign(aud="other"), "x.y.z", token):
            assert exchange(process.url, wrong)[1]["error"] == "invalid_grant"


def test_an_api_key_becomes_a_token_until_it_is_taken_back(toka, command, served, file):
    made = toka("token", "api-key", "--subject", "ci", "--permission", "run:read:*")
    key = made.err.split()[-1]
    assert key not in made.out
    file.write_text(made.out)
    with served(command) as process:
        token = exchange(process.url, key)[1]["access_token"]
        assert exchange(process.url, key[:-1] + "x")[0] == 400
        runs, revoke = f"{process.url}/v1/runs", f"{process.url}/auth/revoke"
        child = narrow(token, "helper")
        assert [ask(runs, token=each)[0] for each in (token, child)] == [200, 200]
        assert ask(revoke, {"token": child}, token)[:2] == (200, {})
        assert [ask(runs, token=each)[0] for each in (token, child)] == [200, 401]
        assert ask(revoke, {"token": token}, token)[:2] == (200, {})
        assert ask(runs, token=token)[0] == 401
    with served(command) as process:
        assert ask(f"{process.url}/v1/runs", token=token)[0] == 401


@pytest.mark.parametrize("subject", ["Zo\u00eb", "\U0001f916", 'a"b\\c', "#"])
def test_what_is_printed_of_an_api_key_can_be_read_back(toka, file, subject):
    made = toka("token", "api-key", "--subject", subject, "--permission", "run:read:*")
    file.write_text(made.out, encoding="utf-8")
    (record,) = read_identities(file).api_keys
    assert (record.subject, record.permissions) == (subject, ("run:read:*",))


def test_attack_4_5_03_the_service_tells_nobody_which_tokens_are_good(toka, command, served):
    eve = toka("token", "mint", "--subject", "eve", "--permission", "fs:read:/x").out.strip()
    good = toka("token", "mint", "--subject", "a", "--permission", "run:read:*").out.strip()
    with served(command) as process:
        url = f"{process.url}/auth/revoke"
        assert [ask(url, {"token": each}, eve)[:2] for each in (good, "x")] == [(200, {})] * 2
        assert ask(f"{process.url}/v1/runs", token=good)[0] == 200
        status, body, headers = ask(url, {"token": good})
        assert (status, body["error"]) == (401, "invalid_client")
        assert "Bearer" in headers["WWW-Authenticate"]
        assert ask(f"{process.url}/auth/introspect", {"token": good}, eve)[0] == 403


def test_without_identities_nothing_is_exchanged_and_public_keys_are_none(toka, command, served):
    good = toka("token", "mint", "--subject", "a", "--permission", "run:read:*").out.strip()
    with served(command) as process:
        for credential in (good, "x", f"tokakey_{'0' * 16}_{'0' * 64}"):
            assert exchange(process.url, credential)[1]["error"] == "invalid_grant"
        status, body, headers = ask(f"{process.url}/auth/jwks")
        assert (status, body) == (200, {"keys": []})
        assert headers["Cache-Control"] == "public, max-age=300"
        assert headers["X-Content-Type-Options"] == "nosniff"
        # Beside the four, nothing below the path is open.
        assert ask(f"{process.url}/auth/other")[0] == 401


def test_a_service_does_not_start_on_a_file_that_is_wrong(toka, file):
    file.write_text("[[issuer]]\nissuer = 'https://a.example'\n")
    result = toka("serve", "--port", "0")
    assert result.status == 2
    assert "identities.toml" in result.err


def test_no_file_is_nobody(tmp_path):
    assert read_identities(tmp_path / "none") == Identities()


@pytest.mark.parametrize(
    "text",
    [
        "issuer = 3",
        "[[issuers]]",
        "\x00",
        "exchanged_seconds = 0\n",
        "exchanged_seconds = 86400\n",
        RULE.format(issuer="https://a.example").replace("subject_prefix", "prefix"),
        RULE.format(issuer="https://a.example").replace("example/", ""),
        RULE.format(issuer="https://a.example").replace("run:read:*", "all"),
        RULE.format(issuer="https://a.example") + "only_where = {}\n",
        API_KEY * 2,
        API_KEY.replace("0", "x"),
        API_KEY.replace("run:read:*", "all"),
        API_KEY + "expires_at = 'soon'\n",
        "#" * 1_048_577,
    ],
)
def test_what_is_wrong_is_refused_as_a_whole(tmp_path, text):
    path = tmp_path / "identities.toml"
    path.write_text(text)
    with pytest.raises(IdentitiesUnusable):
        read_identities(path)


def test_a_file_that_others_may_write_is_refused(tmp_path):
    path = tmp_path / "identities.toml"
    path.write_text(API_KEY)
    assert len(read_identities(path).api_keys) == 1
    for mode in (0o620, 0o602):
        path.chmod(mode)
        with pytest.raises(IdentitiesUnusable, match="others"):
            read_identities(path)
    with pytest.raises(IdentitiesUnusable, match="directory"):
        read_identities(tmp_path)
    os.mkfifo(pipe := tmp_path / "pipe")
    with pytest.raises(IdentitiesUnusable, match="regular"):
        read_identities(pipe)

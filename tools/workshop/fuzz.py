"""Coverage-guided fuzzing of everything that reads what a stranger wrote.

    tools/fuzz --list
    tools/fuzz token --seconds 60
    tools/fuzz chain --corpus DIRECTORY

Each target hands bytes to a parser; only its documented exception may come out, anything else stops
the run with the input that caused it. atheris is no dependency of the project: it is installed into
an environment of its own, `.venv-fuzz`, and CI fuzzes the same parsers with hypothesis.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from workshop import lock, uv
from workshop.shell import ROOT, run, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VENV = ROOT / ".venv-fuzz"
MAX_INPUT_BYTES = 8_300
"""A little over the longest token, so that the limit itself is met."""


def main(arguments: Sequence[str]) -> int:
    """Fuzz; the exit status is 0 if nothing was found."""
    parser = argparse.ArgumentParser("tools/fuzz", description="Fuzz one parser.")
    parser.add_argument("target", nargs="?", choices=sorted(TARGETS))
    parser.add_argument("--list", action="store_true", help="name the targets and stop")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="where inputs are kept from run to run")
    options = parser.parse_args(arguments)
    if options.list or options.target is None:
        print("\n".join(sorted(TARGETS)))
        return 0
    settle(arguments)
    return fuzz(options.target, options.seconds, options.corpus)


def settle(arguments: Sequence[str]) -> None:
    """Become a process of an environment that has Toka and atheris."""
    if Path(sys.prefix) == VENV:
        return
    say("fuzz: installing Toka and atheris into .venv-fuzz")
    lock.complete()
    run(
        [uv.path(), "sync", "--all-packages", "--locked", "--inexact"],
        env={"UV_PROJECT_ENVIRONMENT": str(VENV)},
        quiet=True,
    )
    python = VENV / "bin" / "python"
    run([uv.path(), "pip", "install", "--python", python, "atheris>=2.3"], quiet=True)
    os.execv(python, [str(python), str(ROOT / "tools" / "fuzz"), *arguments])  # noqa: S606


def fuzz(target: str, seconds: int, corpus: Path | None) -> int:
    """Run atheris in this process; it ends the process itself."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["toka"]):
        read = TARGETS[target]()
    with tempfile.TemporaryDirectory() as scratch:
        kept = corpus or Path(scratch)
        made = FRESH_SEEDS.get(target)
        for number, seed in enumerate(SEEDS.get(target, ()) if made is None else [made()]):
            (kept / f"seed-{number}").write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-max_len={MAX_INPUT_BYTES}", str(kept)]
        atheris.Setup([sys.argv[0], *options], read)
        atheris.Fuzz()
    return 0


def token() -> Callable[[bytes], None]:
    """A root token."""
    from toka.capability.core import TokenRefusedError  # noqa: PLC0415 - instrumented on import
    from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Validator  # noqa: PLC0415 - see above
    from toka.types import SystemClock  # noqa: PLC0415 - see above

    validator = JwtHs256Validator([Hs256Key.from_bytes(bytes(range(32)))], SystemClock())
    return _reads(lambda data: validator.validate(data.decode("latin-1")), TokenRefusedError)


def chain() -> Callable[[bytes], None]:
    """What a token with hops says, without its signatures: everything behind them."""
    from toka.capability.core import TokenRefusedError  # noqa: PLC0415 - see above
    from toka.capability.delegation import unsafe_read  # noqa: PLC0415 - see above

    return _reads(lambda data: unsafe_read(data.decode("latin-1")), TokenRefusedError)


def claims() -> Callable[[bytes], None]:
    """The JSON of claims, and every limit of theirs."""
    from toka.capability.core import (  # noqa: PLC0415 - see above
        TokenRefusedError,
        decode_claims,
        validate_claims,
    )

    def read(data: bytes) -> None:
        validate_claims(decode_claims(data), 1_795_000_000)

    return _reads(read, TokenRefusedError)


def caveats() -> Callable[[bytes], None]:
    """The JSON of caveats, applied to claims that have everything to lose."""
    from toka.capability.core import (  # noqa: PLC0415 - see above
        Claims,
        TokenRefusedError,
        check_limits,
        decode_caveats,
        narrowed,
        strict_json,
    )

    everything = ("fs:read:/**", "proc:run:*", "net:get:https://**")
    parent = Claims("alice", "default", everything, 1_795_000_000, 1_795_080_000, "t1")

    def read(data: bytes) -> None:
        members = strict_json(data)
        if isinstance(members, dict):
            check_limits(narrowed(parent, decode_caveats(members)))

    return _reads(read, TokenRefusedError)


def permission() -> Callable[[bytes], None]:
    """A permission, held against itself."""
    from toka.capability.core import Permission, PermissionSyntaxError  # noqa: PLC0415 - see above

    def read(data: bytes) -> None:
        found = Permission(data.decode("latin-1"))
        if not found.covers(found):
            raise AssertionError("a permission does not cover itself")

    return _reads(read, PermissionSyntaxError)


def window() -> Callable[[bytes], None]:
    """A time window: start, end and zone, one a line."""
    from toka.capability.core import InvalidWindowError, TimeWindow  # noqa: PLC0415 - see above

    def read(data: bytes) -> None:
        start, _, rest = data.decode("latin-1").partition("\n")
        end, _, zone = rest.partition("\n")
        TimeWindow(start, end, zone).contains(1_795_000_000)

    return _reads(read, InvalidWindowError)


def outside() -> Callable[[bytes], None]:
    """A token of an outside issuer, up to its signature."""
    from toka.auth._jose import CompactJws  # noqa: PLC0415 - the parser itself
    from toka.capability.core import TokenRefusedError  # noqa: PLC0415 - see above

    def read(data: bytes) -> None:
        CompactJws.parse(data.decode("latin-1"), limit=8_192)

    return _reads(read, TokenRefusedError)


def jwk() -> Callable[[bytes], None]:
    """A key of an outside issuer."""
    from toka.auth import PublicKey  # noqa: PLC0415 - see above
    from toka.capability.core import TokenRefusedError, strict_json  # noqa: PLC0415 - see above

    def read(data: bytes) -> None:
        with contextlib.suppress(ValueError):
            PublicKey.from_jwk(strict_json(data))

    return _reads(read, TokenRefusedError)


def key_file() -> Callable[[bytes], None]:
    """The file of a signing key."""
    from toka.auth import KeyFile, KeyFileError  # noqa: PLC0415 - see above

    path = Path(tempfile.mkdtemp()) / "token.key"
    KeyFile.load_or_create(path)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        KeyFile.load(path)

    return _reads(read, KeyFileError)


def key_file_seed() -> bytes:
    """Return a key file."""
    from toka.auth import KeyFile  # noqa: PLC0415 - see above

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "token.key"
        KeyFile.load_or_create(path)
        return path.read_bytes()


def ring() -> Callable[[bytes], None]:
    """What a key ring holds once it was decrypted."""
    from toka.key_rotation import KeyStoreError, WrappingKey  # noqa: PLC0415 - see above
    from toka.key_rotation._sealing import read_ring  # noqa: PLC0415 - the parser itself

    key = WrappingKey.generate()
    return _reads(lambda data: read_ring(key.seal(data), key), KeyStoreError)


def ring_seed() -> bytes:
    """Return the inside of a key ring."""
    from toka.key_rotation import FileStore, KeyRing, RotationPolicy, WrappingKey  # noqa: PLC0415
    from toka.types import SystemClock  # noqa: PLC0415 - see above

    key = WrappingKey.generate()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ring"
        KeyRing.create(FileStore(path, key), RotationPolicy(), SystemClock())
        return key.open(path.read_bytes())


def status_list() -> Callable[[bytes], None]:
    """A status list, signed by whoever was believed."""
    from toka.revocation import StatusListError, read_status_list  # noqa: PLC0415 - see above

    class Believing:
        algorithm = "ES256"

        def verify(self, message: bytes, signature: bytes) -> bool:
            return bool(message) and bool(signature)

    def read(data: bytes) -> None:
        # The JSON itself is mutated, for nobody finds the base64 of a change by chance.
        header = _part(b'{"alg":"ES256","kid":"k","typ":"statuslist+jwt"}')
        token = b".".join([header, _part(data), b"AAAA"]).decode("ascii")
        read_status_list(token, {"k": Believing()}, subject="https://a/1", now=100)

    return _reads(read, StatusListError)


def status_bits() -> Callable[[bytes], None]:
    """The packed bits of a status list, behind one byte for their width."""
    from toka.revocation import StatusList, StatusListError  # noqa: PLC0415 - see above

    def read(data: bytes) -> None:
        found = StatusList.decode(_part(data[1:]).decode("ascii"), bits=data[0] if data else 1)
        if len(found) and not 0 <= found[len(found) - 1] < 2**found.bits:
            raise AssertionError("a status is wider than its list says")

    return _reads(read, StatusListError)


def _reads(read: Callable[[bytes], object], documented: type[Exception]) -> Callable[[bytes], None]:
    def run_once(data: bytes) -> None:
        with contextlib.suppress(documented):
            read(data)

    return run_once


_CLAIMS = (
    b'{"aud":["a"],"budget":{"calls":1},"cnf":{"jkt":"AQgwAQgwAQgwAQgwAQgwAQgwAQgwAQgwAQgwAQgwAQg"},'
    b'"depth":1,"exp":1795000900,"ext":{"a":[1,null,"x"]},"iat":1795000000,"jti":"t","nbf":1,'
    b'"permissions":["fs:read:/**"],"rate":{"calls":1,"seconds":60},"sub":"a",'
    b'"untainted":["proc:run:git"],"vault":"v","windows":[{"days":[1,5],"end":"06:00",'
    b'"start":"22:00","zone":"Europe/Berlin"}]}'
)
_HOP = (
    b'{"aud":["a"],"budget":{"calls":1},"depth":1,"exp":1795000100,"ext":{"a":1},"iss":"a",'
    b'"jti":"n","nbf":1795000010,"only_untainted":true,"permissions":["fs:read:/x"],'
    b'"rate":{"calls":1,"seconds":60},"sub":"b","untainted":["proc:run:git"],'
    b'"windows":[{"end":"05:00","start":"23:00","zone":"Europe/Berlin"}]}'
)
_KEY = b'{"alg":"ES256","crv":"P-256","key_ops":["verify"],"kid":"k","kty":"EC","use":"sig"}'


_LIST = (
    b'{"exp":900,"iat":1,"status_list":{"bits":1,"lst":"eNrbuRgAAhcBXQ"},'
    b'"sub":"https://a/1","ttl":900}'
)


def _part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


_HEADER = _part(b'{"alg":"HS256","typ":"toka.cap+jwt"}')
_SIGNATURE = b"A" * 43

SEEDS: dict[str, tuple[bytes, ...]] = {
    "caveats": (_HOP.replace(b'"iss":"a","jti":"n",', b"").replace(b'"sub":"b",', b""),),
    "chain": (b"~".join([_HEADER + b"." + _part(_CLAIMS), _part(_HOP), _SIGNATURE]),),
    "claims": (_CLAIMS,),
    "jwk": (_KEY,),
    "status_list": (_LIST,),
    "status_bits": (b"\x01" + base64.urlsafe_b64decode(b"eNrbuRgAAhcBXQ=="),),
    "outside": (b".".join([_part(b'{"alg":"ES256","kid":"k"}'), _part(_CLAIMS), _SIGNATURE]),),
    "permission": (b"fs:read:/data/**", b"net:get:https://*.example.org:443/a*b/**", b"a:*:%20"),
    "token": (b".".join([_HEADER, _part(_CLAIMS), _SIGNATURE]),),
    "window": (b"22:00\n06:00\nAmerica/New_York", b"08:00\n09:00\nUTC"),
}
"""Where the search begins: an input that each parser reads, so that mutations get far."""

FRESH_SEEDS: dict[str, Callable[[], bytes]] = {"key_file": key_file_seed, "ring": ring_seed}
"""The same for what holds a secret, which is nothing to write down."""

TARGETS: dict[str, Callable[[], Callable[[bytes], None]]] = {
    "caveats": caveats,
    "chain": chain,
    "claims": claims,
    "jwk": jwk,
    "key_file": key_file,
    "outside": outside,
    "permission": permission,
    "ring": ring,
    "status_bits": status_bits,
    "status_list": status_list,
    "token": token,
    "window": window,
}

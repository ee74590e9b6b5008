"""`identities.toml`: whom the operator lets exchange a credential from outside for a token.

    [[issuer]]                                # of OpenID Connect
    issuer = "https://login.example.com"      # as its tokens say it in `iss`
    audience = "toka"                         # what they must say in `aud`

    [[issuer.rule]]                           # the first that fits decides
    where = { groups = "ops" }                # claims that must have or hold these values
    subject_prefix = "example/"               # stands before the outside `sub`
    permissions = ["run:*:*", "event:read:**"]

    [[api_key]]                               # as `toka token api-key` prints it
    key_id = "..."

Whoever writes this file decides who may do what, so nobody else may be able to write it. A name
that is not known here is an error and not passed over: it may have been meant to restrict.
"""

from __future__ import annotations

import os
import stat
import tomllib
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from toka.auth import ApiKeyRecord, MappingError, OutsideIssuer, OutsideRule
from toka.cli._errors import IdentitiesUnusable
from toka.orchestration import VAULT

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES: Final = 1_048_576

_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is read with no name too many."""


class _Rule(_Strict, frozen=True):
    permissions: tuple[str, ...]
    subject_prefix: str
    """Demanded: without one, somebody outside could have the name of somebody here."""
    where: dict[str, str] = {}
    untainted: tuple[str, ...] = ()


class _Issuer(_Strict, frozen=True):
    issuer: str
    audience: str
    rule: tuple[_Rule, ...]
    jwks_uri: str | None = None


class _ApiKey(_Strict, frozen=True):
    key_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    subject: str
    permissions: tuple[str, ...]
    untainted: tuple[str, ...] = ()
    expires_at: int | None = None


class _File(_Strict, frozen=True):
    issuer: tuple[_Issuer, ...] = ()
    api_key: tuple[_ApiKey, ...] = ()
    exchanged_seconds: int = 900


class Identities(msgspec.Struct, frozen=True):
    """Who may exchange what for a token."""

    issuers: tuple[OutsideIssuer, ...] = ()
    api_keys: tuple[ApiKeyRecord, ...] = ()
    exchanged_seconds: int = 900


def read_identities(path: Path) -> Identities:
    """Return what the operator wrote; nobody, if there is no file.

    Raises:
        IdentitiesUnusable: It cannot be read, says something wrong, or others may write it.
    """
    data = _read(path)
    if data is None:
        return Identities()
    try:
        file = msgspec.convert(tomllib.loads(data.decode("utf-8")), _File)
        return Identities(tuple(map(_issuer, file.issuer)), _api_keys(file.api_key), _seconds(file))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise _unusable(path, f"is wrong: {error}") from error
    except MappingError as error:
        raise _unusable(path, f"is wrong: {error.message}") from error


def _seconds(file: _File) -> int:
    if not 1 <= file.exchanged_seconds <= 3_600:  # noqa: PLR2004 - an hour
        raise MappingError("exchanged_seconds is 1 to 3600.")
    return file.exchanged_seconds


def _issuer(given: _Issuer) -> OutsideIssuer:
    rules = tuple(
        OutsideRule(
            rule.permissions,
            tuple(rule.where.items()),
            vault=VAULT,
            subject_prefix=_prefix(rule),
            untainted=rule.untainted,
        )
        for rule in given.rule
    )
    return OutsideIssuer(given.issuer, given.audience, rules, given.jwks_uri)


def _prefix(rule: _Rule) -> str:
    if not rule.subject_prefix:
        raise MappingError("A subject_prefix may not be empty.")
    return rule.subject_prefix


def _api_keys(given: tuple[_ApiKey, ...]) -> tuple[ApiKeyRecord, ...]:
    if len({key.key_id for key in given}) != len(given):
        raise MappingError("Two API keys have one key_id.")
    return tuple(map(_api_key, given))


def _api_key(given: _ApiKey) -> ApiKeyRecord:
    # Found when it is written, and not when its owner is refused.
    OutsideRule(given.permissions, subject_prefix=given.subject, untainted=given.untainted)
    return ApiKeyRecord(
        given.key_id,
        given.digest,
        given.subject,
        given.permissions,
        VAULT,
        given.untainted,
        given.expires_at,
    )


def _read(path: Path) -> bytes | None:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            _check_access(path, os.fstat(file.fileno()))
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise _unusable(path, f"is over {MAX_BYTES} bytes")
    return data


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # A pipe does not keep the service waiting.


def _check_access(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _unusable(path, "is no regular file")
    if status.st_mode & _OTHERS_MAY_WRITE or status.st_uid not in (0, os.geteuid()):
        raise _unusable(path, "can be written by others, who could let themselves in")


def _unusable(path: Path, why: str) -> IdentitiesUnusable:
    return IdentitiesUnusable(
        f"{path} {why}.",
        hint="toka serve --help says what is in it.",
        details={"path": str(path)},
    )

"""A data directory: the log, the key, and what runs have made.

log.db               the event log (SQLite), with the files that the store keeps beside it
keys/token.key       the key that tokens are signed with, readable by its owner alone
notes/notes.db       what agents have noted
identities.toml      written by the operator: whom a service gives tokens
service.toml         written by the operator: how a service does its work
runs/RUN/artifacts/  what each run has made
serve.json           address and process of a service that runs on this directory now
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from toka.cli._errors import DataUnusable, NoDataDirectory

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.capability.delegation import DelegatedValidator
    from toka.capability.jwt_hs256 import JwtHs256Issuer
    from toka.store.core import EventStore
    from toka.types import Clock

DEFAULT: Final = Path(".toka")


@attrs.frozen
class Keys:
    """What signs and checks the tokens of a data directory."""

    issuer: JwtHs256Issuer
    validator: DelegatedValidator
    """Checks tokens of the key, and what was narrowed from them; knows nothing of revocation."""
    path: Path
    made: bool
    """The key was made just now."""


@attrs.frozen
class DataDirectory:
    """Names the parts of a data directory; makes nothing until it is asked to."""

    path: Path

    @property
    def log(self) -> Path:
        """The log's file."""
        return self.path / "log.db"

    @property
    def key(self) -> Path:
        """The signing key's file."""
        return self.path / "keys" / "token.key"

    @property
    def notes(self) -> Path:
        """The file of the agents' notes, alone in a directory for what SQLite keeps beside it."""
        return self.path / "notes" / "notes.db"

    @property
    def revocations(self) -> Path:
        """What was taken back."""
        return self.path / "revoked.db"

    @property
    def used_tokens(self) -> Path:
        """The proofs of possession that were used."""
        return self.path / "used.db"

    @property
    def identities(self) -> Path:
        """Whom a service gives tokens for credentials from outside."""
        return self.path / "identities.toml"

    @property
    def service_config(self) -> Path:
        """How a service does its work."""
        return self.path / "service.toml"

    @property
    def service(self) -> Path:
        """Where a running service says how to reach it."""
        return self.path / "serve.json"

    def artifacts(self, name: str) -> Path:
        """Where a run puts what it makes."""
        return self.path / "runs" / name / "artifacts"

    def keys(self, clock: Clock, *, create: bool = True) -> Keys:
        """Load the signing key, or make one.

        Args:
            clock: Tells the time to issuer and authenticator.
            create: Make the key if there is none.

        Raises:
            KeyFileMissing: There is none, and none is to be made.
            KeyFileError: It is there and cannot be used: readable by others, damaged.
        """
        from toka.auth import KeyFile  # noqa: PLC0415 - not for --help
        from toka.capability.delegation import DelegatedValidator  # noqa: PLC0415
        from toka.capability.jwt_hs256 import JwtHs256Issuer, JwtHs256Validator  # noqa: PLC0415

        if create:
            key, made = KeyFile.load_or_create(self.key)
        else:
            key, made = KeyFile.load(self.key), False
        validator = DelegatedValidator(JwtHs256Validator([key], clock))
        return Keys(JwtHs256Issuer(key, clock), validator, self.key, made)

    def make(self) -> None:
        """Make the directory, for its owner alone, if it is not there.

        Raises:
            DataUnusable: It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise DataUnusable(
                f"The data directory {self.path} cannot be made: {error.strerror}.",
                hint="Name another one with --data-dir.",
                details={"path": str(self.path)},
            ) from error

    @asynccontextmanager
    async def open_log(self, *, read_only: bool) -> AsyncGenerator[EventStore, None]:
        """Open the log.

        Args:
            read_only: Read beside whoever writes; the log must be there.

        Raises:
            NoDataDirectory: There is no log to read.
            DataUnusable: The directory cannot be made.
            StoreError: It is locked, damaged, of a newer version, or not to be written.
        """
        from toka.store.core import open_store  # noqa: PLC0415 - not for --help

        if read_only and not self.log.exists():
            raise NoDataDirectory(
                f"There is no log in {self.path}.",
                hint="Run something first, or name another directory with --data-dir.",
                details={"path": str(self.path)},
            )
        if not read_only:
            self.make()
        store = await open_store(f"sqlite:{self.log}", read_only=read_only)
        try:
            yield store
        finally:
            await store.aclose()

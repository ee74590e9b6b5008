"""A ring as bytes, encrypted: nothing on disk shows a secret.

AES-256-GCM (NIST SP 800-38D) under a wrapping key that lives elsewhere, with a fresh random nonce
for each writing; the title is authenticated too. Inside is canonical JSON.
"""

from __future__ import annotations

import os
import secrets
import stat
import subprocess
from typing import TYPE_CHECKING, Final, NoReturn, final

import attrs

from toka.capability.core import decode_base64url, encode_base64url
from toka.key_rotation._errors import InvalidKeyRingError, KeyStoreError, WrappingKeyError
from toka.key_rotation._key import KeyAlgorithm, RingKey
from toka.key_rotation._state import KeyRecord, KeyState, RingState
from toka.types import CanonicalEncodingError, Codec

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_STORE_BYTES: Final = 4 * 1_048_576
_TITLE: Final = b"toka-key-ring-1\n"
_NONCE_BYTES: Final = 12
_WRAPPING_BYTES: Final = 32
_COMMAND_SECONDS: Final = 30


@final
class WrappingKey:
    """The key that encrypts a ring at rest: 32 bytes, as 43 characters of base64url outside."""

    __slots__ = ("__secret",)

    def __init__(self, secret: bytes) -> None:
        """Take 32 random bytes.

        Raises:
            WrappingKeyError: They are not.
        """
        if len(secret) != _WRAPPING_BYTES or len(set(secret)) < _WRAPPING_BYTES // 4:
            raise WrappingKeyError("A wrapping key is 32 random bytes.")
        self.__secret = secret

    @classmethod
    def generate(cls) -> WrappingKey:
        """Make a key of fresh random bytes."""
        return cls(secrets.token_bytes(_WRAPPING_BYTES))

    @classmethod
    def from_text(cls, text: str) -> WrappingKey:
        """Read a key as base64url without padding; white space around it is left out.

        Raises:
            WrappingKeyError: It is anything else.
        """
        try:
            secret = decode_base64url(text.strip())
        except ValueError:
            secret = b""  # What the decoder complained about may quote the secret.
        return cls(secret)

    @classmethod
    def from_environment(cls, name: str) -> WrappingKey:
        """Read a key from a variable of the environment.

        Raises:
            WrappingKeyError: It is not set, or no key.
        """
        text = os.environ.get(name)
        if text is None:
            raise WrappingKeyError(f"The environment has no {name}.", hint="Set the wrapping key.")
        return cls.from_text(text)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> WrappingKey:
        """Read a key from a file that its owner alone can read.

        Raises:
            WrappingKeyError: It is missing, a link, of another user, accessible to others, or no
                key.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                status = os.fstat(descriptor)
                data = os.read(descriptor, 1_024)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise WrappingKeyError(
                f"The wrapping key {os.fspath(path)!r} cannot be read."
            ) from error
        # Of root's as of our own: nobody else may choose what our keys are encrypted under.
        ours = status.st_uid in (0, os.geteuid())
        others = status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        if not stat.S_ISREG(status.st_mode) or others or not ours:
            raise WrappingKeyError(
                f"The wrapping key {os.fspath(path)!r} can be reached by others.",
                hint="Make it a regular file with mode 0600.",
            )
        return cls.from_text(data.decode("ascii", "replace"))

    @classmethod
    def from_command(cls, command: Sequence[str]) -> WrappingKey:
        """Read a key from what a command prints, for example that of a password manager.

        Args:
            command: The program and its arguments. No shell reads them.

        Raises:
            WrappingKeyError: It failed, took over 30 seconds, or printed something else.
        """
        try:
            ran = subprocess.run(  # noqa: S603 - the operator's own configuration
                list(command),
                capture_output=True,
                check=True,
                timeout=_COMMAND_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.SubprocessError) as error:
            # Not chained: the error holds what the command printed.
            reason = type(error).__name__
        else:
            return cls.from_text(ran.stdout.decode("ascii", "replace"))
        raise WrappingKeyError(f"The command for the wrapping key failed ({reason}).")

    def unsafe_text(self) -> str:
        """Return the key as text, for whoever puts it where it will be read from."""
        return encode_base64url(self.__secret)

    def seal(self, data: bytes) -> bytes:
        """Encrypt and authenticate."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 50 ms

        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _TITLE + nonce + AESGCM(self.__secret).encrypt(nonce, data, _TITLE)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt what `seal` returned.

        Raises:
            KeyStoreError: It is no key ring.
            WrappingKeyError: It was damaged, or sealed under another key.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - 50 ms
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see above

        if not sealed.startswith(_TITLE) or len(sealed) < len(_TITLE) + _NONCE_BYTES:
            raise KeyStoreError("This is no key ring, or only a part of one.", hint=_RESTORE)
        start = len(_TITLE) + _NONCE_BYTES
        try:
            return AESGCM(self.__secret).decrypt(
                sealed[len(_TITLE) : start], sealed[start:], _TITLE
            )
        except InvalidTag as error:
            raise WrappingKeyError(
                "The key ring is damaged, or encrypted under another wrapping key.", hint=_RESTORE
            ) from error

    def __repr__(self) -> str:
        return "<WrappingKey>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is neither pickled nor copied: its secret stays where it is.")


_RESTORE: Final = "Restore it from a copy; a new one would make every token invalid."


@attrs.frozen
class _StoredKey:
    kid: str
    kind: KeyAlgorithm
    generation: int
    state: KeyState
    prepared_at: int
    secret: str | None = attrs.field(repr=False)
    activated_at: int | None
    retires_at: int | None
    ended_at: int | None


@attrs.frozen
class _StoredRing:
    records: tuple[_StoredKey, ...]
    version: int
    floor: int
    latest: int


_CODEC: Final = Codec(_StoredRing)


def write_ring(state: RingState, key: WrappingKey) -> bytes:
    """Return a ring encrypted."""
    records = tuple([_stored(record) for record in state.records])
    stored = _StoredRing(records, state.version, state.floor, state.latest)
    return key.seal(_CODEC.encode(stored))


def read_ring(sealed: bytes, key: WrappingKey) -> RingState:
    """Read what `write_ring` wrote, and check every invariant.

    Raises:
        KeyStoreError: It is damaged, foreign, or holds keys that contradict one another.
    """
    try:
        stored = _CODEC.decode(key.open(sealed))
        records = tuple([_record(each) for each in stored.records])
        return RingState(records, stored.version, stored.floor, stored.latest)
    except (CanonicalEncodingError, InvalidKeyRingError, ValueError) as error:
        # Not chained: a decoder's error may quote a secret.
        reason = error.message if isinstance(error, InvalidKeyRingError) else "malformed"
    raise KeyStoreError(f"The key ring cannot be used: {reason}", hint=_RESTORE)


def _stored(record: KeyRecord) -> _StoredKey:
    secret = None if record.key is None else encode_base64url(record.key.unsafe_secret())
    return _StoredKey(
        record.kid,
        record.kind,
        record.generation,
        record.state,
        record.prepared_at,
        secret,
        record.activated_at,
        record.retires_at,
        record.ended_at,
    )


def _record(stored: _StoredKey) -> KeyRecord:
    secret = stored.secret
    key = None if secret is None else RingKey(stored.kind, decode_base64url(secret))
    return KeyRecord(
        stored.kid,
        stored.kind,
        stored.generation,
        stored.state,
        stored.prepared_at,
        key,
        stored.activated_at,
        stored.retires_at,
        stored.ended_at,
    )

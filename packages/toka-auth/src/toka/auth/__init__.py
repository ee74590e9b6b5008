"""Who is calling: turns a presented credential into verified claims."""

from toka.auth._authenticator import DEFAULT_CACHE_SIZE, Authenticator, RefusedCredential
from toka.auth._errors import AuthenticationError, AuthError, KeyFileError, KeyFileMissing
from toka.auth._key_file import KeyFile
from toka.auth._revocation import MemoryRevocations, NothingRevoked, RevocationCheck

__all__ = [
    "DEFAULT_CACHE_SIZE",
    "AuthError",
    "AuthenticationError",
    "Authenticator",
    "KeyFile",
    "KeyFileError",
    "KeyFileMissing",
    "MemoryRevocations",
    "NothingRevoked",
    "RefusedCredential",
    "RevocationCheck",
]

"""Who is calling: turns a presented credential into verified claims."""

from toka.auth._api_key import ApiKeyRecord, ApiKeyValidator, new_api_key
from toka.auth._authenticator import DEFAULT_CACHE_SIZE, Authenticator, RefusedCredential
from toka.auth._dpop import DpopNonces, DpopProofs, access_token_hash
from toka.auth._endpoints import EXCHANGE_GRANT, INTROSPECT, JWT_TYPE, REVOKE, Answer, Endpoints
from toka.auth._errors import (
    AuthenticationError,
    AuthError,
    KeyFileError,
    KeyFileMissing,
    MappingError,
    OutsideKeysError,
    TakeBackError,
    UsedTokensError,
)
from toka.auth._fetch import Fetch, HttpFetch
from toka.auth._http import auth_application, credential_of
from toka.auth._jose import PublicKey
from toka.auth._key_file import KeyFile
from toka.auth._once import MemoryUsedTokens, SqliteUsedTokens
from toka.auth._outside import OutsideIssuer, OutsideRule, OutsideValidator
from toka.auth._presented import OnceCheck, PreparingValidator, Proof, ProofCheck, RateCheck
from toka.auth._rates import StorageRates
from toka.auth._revocation import (
    MemoryRevocations,
    NothingRevoked,
    RevocationCheck,
    StoredRevocations,
    TakesBack,
)

__all__ = [
    "DEFAULT_CACHE_SIZE",
    "EXCHANGE_GRANT",
    "INTROSPECT",
    "JWT_TYPE",
    "REVOKE",
    "Answer",
    "ApiKeyRecord",
    "ApiKeyValidator",
    "AuthError",
    "AuthenticationError",
    "Authenticator",
    "DpopNonces",
    "DpopProofs",
    "Endpoints",
    "Fetch",
    "HttpFetch",
    "KeyFile",
    "KeyFileError",
    "KeyFileMissing",
    "MappingError",
    "MemoryRevocations",
    "MemoryUsedTokens",
    "NothingRevoked",
    "OnceCheck",
    "OutsideIssuer",
    "OutsideKeysError",
    "OutsideRule",
    "OutsideValidator",
    "PreparingValidator",
    "Proof",
    "ProofCheck",
    "PublicKey",
    "RateCheck",
    "RefusedCredential",
    "RevocationCheck",
    "SqliteUsedTokens",
    "StorageRates",
    "StoredRevocations",
    "TakeBackError",
    "TakesBack",
    "UsedTokensError",
    "access_token_hash",
    "auth_application",
    "credential_of",
    "new_api_key",
]

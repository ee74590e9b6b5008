"""Taking a token, a subject, a key or a whole delegation tree back, at once and durably."""

from toka.revocation._errors import (
    InvalidRevocationError,
    RevocationError,
    RevocationsRolledBack,
    RevocationUnavailable,
    StatusListError,
)
from toka.revocation._event_log import EVENT_KIND, STREAM, EventLog
from toka.revocation._index import RevocationIndex
from toka.revocation._log import Entry, MemoryLog, RevocationLog
from toka.revocation._revocation import MARGIN_SECONDS, Kind, Revocation, canonical_id
from toka.revocation._revocations import DEFAULT_STALENESS_SECONDS, Revocations, Verdict
from toka.revocation._signed_list import (
    TOKEN_TYPE,
    SignedStatusList,
    StatusSigner,
    StatusVerifier,
    read_status_list,
    sign_status_list,
)
from toka.revocation._sqlite_log import SqliteLog
from toka.revocation._status_list import (
    INVALID,
    MAX_LIST_BYTES,
    MAX_STATUSES,
    SUSPENDED,
    VALID,
    StatusList,
)
from toka.revocation._status_list_check import StatusListCheck

__all__ = [
    "DEFAULT_STALENESS_SECONDS",
    "EVENT_KIND",
    "INVALID",
    "MARGIN_SECONDS",
    "MAX_LIST_BYTES",
    "MAX_STATUSES",
    "STREAM",
    "SUSPENDED",
    "TOKEN_TYPE",
    "VALID",
    "Entry",
    "EventLog",
    "InvalidRevocationError",
    "Kind",
    "MemoryLog",
    "Revocation",
    "RevocationError",
    "RevocationIndex",
    "RevocationLog",
    "RevocationUnavailable",
    "Revocations",
    "RevocationsRolledBack",
    "SignedStatusList",
    "SqliteLog",
    "StatusList",
    "StatusListCheck",
    "StatusListError",
    "StatusSigner",
    "StatusVerifier",
    "Verdict",
    "canonical_id",
    "read_status_list",
    "sign_status_list",
]

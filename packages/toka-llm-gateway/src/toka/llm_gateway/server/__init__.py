"""A gateway over HTTP, in OpenAI's and Anthropic's formats, with budgets, permissions and audit."""

from toka.llm_gateway.server._access import (
    Access,
    CapabilityAccess,
    CapabilityTenant,
    LocalTenant,
    OpenAccess,
    Tenant,
)
from toka.llm_gateway.server._audit import Audit, AuditRecord, JsonLinesAudit, NoAudit
from toka.llm_gateway.server._catalog import ModelCatalog
from toka.llm_gateway.server._gateway import MAX_REQUEST_BYTES, Gateway
from toka.llm_gateway.server._ledger import Account, Ledger, MemoryLedger, SqliteLedger
from toka.llm_gateway.server._serving import serve

__all__ = [
    "MAX_REQUEST_BYTES",
    "Access",
    "Account",
    "Audit",
    "AuditRecord",
    "CapabilityAccess",
    "CapabilityTenant",
    "Gateway",
    "JsonLinesAudit",
    "Ledger",
    "LocalTenant",
    "MemoryLedger",
    "ModelCatalog",
    "NoAudit",
    "OpenAccess",
    "SqliteLedger",
    "Tenant",
    "serve",
]

"""Which revision a request speaks: agreed on once by a handshake, or said with every request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.tools.mcp._errors import INVALID_PARAMS, UNSUPPORTED_REVISION, ProtocolError
from toka.tools.mcp._revisions import (
    HANDSHAKE_REVISIONS,
    LATEST_HANDSHAKE,
    META_CLIENT_CAPABILITIES,
    META_REVISION,
    META_SERVER_INFO,
    STATELESS_REVISIONS,
    TASKS_EXTENSION,
)

if TYPE_CHECKING:
    from toka.tools.mcp.server._host import Host
    from toka.types import Json, JsonObject


@attrs.frozen
class Declared:
    """What a client says of itself."""

    revision: str
    capabilities: JsonObject


def says_revision(params: JsonObject) -> bool:
    """Whether a request belongs to the stateless era, well or badly."""
    meta = params.get("_meta")
    return isinstance(meta, dict) and META_REVISION in meta


def declared_in(params: JsonObject) -> Declared:
    """Return what a request of the stateless era declares; whether we speak it is not checked.

    Raises:
        ProtocolError: It lacks what every such request has to say.
    """
    meta = params.get("_meta")
    if not isinstance(meta, dict):
        raise ProtocolError(f"_meta has to say {META_REVISION}.", INVALID_PARAMS)
    revision, capabilities = meta.get(META_REVISION), meta.get(META_CLIENT_CAPABILITIES)
    if not isinstance(revision, str):
        raise ProtocolError(f"_meta has to say {META_REVISION}.", INVALID_PARAMS)
    if not isinstance(capabilities, dict):
        raise ProtocolError(f"_meta has to say {META_CLIENT_CAPABILITIES}.", INVALID_PARAMS)
    return Declared(revision, capabilities)


def check_stateless(revision: str) -> None:
    """Check that we speak a revision without a handshake.

    Raises:
        ProtocolError: We do not; the error says which ones we do.
    """
    if revision not in STATELESS_REVISIONS:
        raise ProtocolError(
            f"{revision[:80]!r} is not spoken here.",
            UNSUPPORTED_REVISION,
            {"supported": list(STATELESS_REVISIONS), "requested": revision[:80]},
        )


def agreed_in(params: JsonObject) -> Declared:
    """Return what a handshake comes to: the client's revision if we speak it, else our latest.

    Raises:
        ProtocolError: It is no handshake.
    """
    wanted, capabilities = params.get("protocolVersion"), params.get("capabilities")
    if not isinstance(wanted, str) or not isinstance(capabilities, dict):
        raise ProtocolError("initialize says protocolVersion and capabilities.", INVALID_PARAMS)
    return Declared(wanted if wanted in HANDSHAKE_REVISIONS else LATEST_HANDSHAKE, capabilities)


def handshake_result(host: Host, agreed: Declared) -> JsonObject:
    """Return the answer to `initialize`."""
    made: dict[str, Json] = {
        "protocolVersion": agreed.revision,
        "capabilities": _capabilities(host),
        "serverInfo": _identity(host),
    }
    if host.options.instructions:
        made["instructions"] = host.options.instructions
    return made


def discovery_result(host: Host) -> JsonObject:
    """Return the answer to `server/discover`."""
    capabilities: dict[str, Json] = {
        **_capabilities(host),
        "extensions": {TASKS_EXTENSION: {}},
    }
    made: dict[str, Json] = {
        "supportedVersions": list(STATELESS_REVISIONS),
        "capabilities": capabilities,
        "_meta": {META_SERVER_INFO: _identity(host)},
    }
    if host.options.instructions:
        made["instructions"] = host.options.instructions
    return made


def _identity(host: Host) -> JsonObject:
    return {"name": host.options.name, "version": host.options.version}


def _capabilities(host: Host) -> dict[str, Json]:
    options = host.options
    offered: dict[str, Json] = {"tools": {"listChanged": True}, "logging": {}}
    if options.prompts is not None:
        offered["prompts"] = {"listChanged": True}
    if options.resources is not None:
        offered["resources"] = {"subscribe": True, "listChanged": True}
    if options.completions is not None:
        offered["completions"] = {}
    return offered

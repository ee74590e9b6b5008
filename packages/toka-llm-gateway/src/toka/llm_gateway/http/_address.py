"""Where a provider is, and whether a key may travel there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.llm_gateway._errors import ConfigurationInvalid

if TYPE_CHECKING:
    from toka.llm_gateway.http._secret import ApiKey


def check_base_url(url: str, key: ApiKey | None, *, allow_insecure: bool) -> str:
    """Return a base address without its last slash.

    Raises:
        ConfigurationInvalid: It is no address, holds credentials, or would show the key to the
            network.

    """
    from urllib.parse import urlsplit  # noqa: PLC0415 - only who builds a client pays

    try:
        parts = urlsplit(url.strip())
        # Reading the port checks it.
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        parts, host = urlsplit(""), None
    surplus = parts.query or parts.fragment or parts.username is not None
    if parts.scheme not in {"http", "https"} or not host or surplus:
        # The address is not repeated: a wrong one may hold a password.
        raise ConfigurationInvalid(
            "The base address is not of the form http(s)://HOST[:PORT][/PATH].",
            hint="For example https://api.openai.com/v1 or http://127.0.0.1:11434/v1.",
        )
    if parts.scheme == "http" and key is not None and not allow_insecure and not _is_local(host):
        raise ConfigurationInvalid(
            f"A key would travel to {host} over plain HTTP, readable on the way.",
            hint="Use https, or set TOKA_LLM_ALLOW_INSECURE=1 if that network is yours alone.",
        )
    return url.strip().rstrip("/")


def _is_local(host: str) -> bool:
    from ipaddress import ip_address  # noqa: PLC0415 - only who builds a client pays

    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

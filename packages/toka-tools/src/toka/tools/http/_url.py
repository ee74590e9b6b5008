"""URLs in the one spelling that is checked and sent.

What one parser reads differently from another is refused, not repaired: white space, control
characters, backslashes, a user, digits that are no ASCII, the short and octal forms of addresses,
escaped slashes and dot segments. So the text on which the grant is decided is what is sent.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes, urljoin

import attrs

from toka.capability.core import PermissionSyntaxError, Request
from toka.tools._errors import AddressDeniedError

if TYPE_CHECKING:
    from toka.tools.http._addresses import Address

MAX_URL_CHARACTERS: Final = 8_192

_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_PATH_SAFE: Final = "!$&'()+,;=:@~"
_QUERY_SAFE: Final = "!$&'()*+,;=:@~/?%[]"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# Ports of other protocols, to which an HTTP request could be made to say something: the "bad ports"
# of the WHATWG Fetch standard.
_FETCH_BAD_PORTS: Final = """
    1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113
    115 117 119 123 135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554
    556 563 587 601 636 989 990 993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665
    6666 6667 6668 6669 6679 6697 10080
"""
_OTHER_PORTS: Final = frozenset([int(port) for port in _FETCH_BAD_PORTS.split()])


@attrs.frozen
class Target:
    """Where one request goes."""

    scheme: str
    host: str
    """In lower case; an IPv6 address in brackets."""
    port: int
    path: str
    query: str

    @property
    def origin(self) -> str:
        """Scheme, host and, if it is not the usual one, port."""
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"

    @property
    def url(self) -> str:
        """The text that is sent."""
        return f"{self.origin}{self.path}" + (f"?{self.query}" if self.query else "")

    @property
    def address(self) -> Address | None:
        """The host as an address, if it is written as one."""
        try:
            return ipaddress.ip_address(self.host.strip("[]"))
        except ValueError:
            return None

    def request(self, method: str) -> str:
        """Return the permission request of an HTTP method here. The query is not part of it.

        Raises:
            AddressDeniedError: No permission can name this URL.
        """
        try:
            return Request.parse(f"net:{method.lower()}:{self.origin}{self.path}").text
        except PermissionSyntaxError as error:
            raise AddressDeniedError(
                f"No permission can name {self.origin}{self.path[:80]}: {error.message}"
            ) from error


def parse_target(url: str) -> Target:
    """Read a URL.

    Raises:
        AddressDeniedError: It is none, or has a form that is never accepted.
    """
    if len(url) > MAX_URL_CHARACTERS or _FORBIDDEN.search(url):
        raise _refused(url, "is too long, or holds a space, a control character or '\\'")
    match = _URL.fullmatch(url)
    if match is None:
        raise _refused(url, "is not an absolute http or https URL")
    scheme, authority, path, query = match.groups(default="")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise _refused(url, "has a user, or a host that is not plain ASCII")
    scheme = scheme.lower()
    port = int(parts[2]) if parts[2] else _DEFAULT_PORTS[scheme]
    if not 0 < port < 1 << 16 or port in _OTHER_PORTS:
        raise _refused(url, "names a port that is not for HTTP")
    safe_query = quote(query, safe=_QUERY_SAFE)
    return Target(scheme, _host(parts[1].lower(), url), port, _path(path, url), safe_query)


def follow(base: Target, location: str) -> Target:
    """Return where a redirect leads.

    Raises:
        AddressDeniedError: Its target has a form that is never accepted, or gives up encryption.
    """
    if _FORBIDDEN.search(location):
        raise _refused(location, "is a redirect with a space, a control character or '\\'")
    target = parse_target(urljoin(base.url, location))
    if base.scheme == "https" and target.scheme == "http":
        raise _refused(target.url, "is a redirect from https to http")
    return target


def _host(host: str, url: str) -> str:
    try:
        if host.startswith("["):
            return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        labels = host.split(".")
        # What ends in a number is an address (WHATWG URL standard); only one spelling of one is.
        if _NUMBER.fullmatch(labels[-1]):
            return str(ipaddress.IPv4Address(host))
    except ValueError as error:
        raise _refused(url, "writes an address in an unusual form") from error
    if "" in labels:
        raise _refused(url, "has a host with an empty label")
    return host


def _path(path: str, url: str) -> str:
    segments = path.split("/")[1:] or [""]
    return "/" + "/".join([_segment(segment, url) for segment in segments])


def _segment(segment: str, url: str) -> str:
    data = unquote_to_bytes(segment)
    if data in (b".", b"..") or not {0, 0x2F, 0x5C}.isdisjoint(data):
        raise _refused(url, "has a dot segment or an escaped '/', '\\' or NUL in its path")
    return quote(data, safe=_PATH_SAFE)


def _refused(url: str, why: str) -> AddressDeniedError:
    # The whole URL may hold a password or a key, which belong in no message.
    shown = re.sub(r"//[^/?#]*@", "//...@", url.partition("?")[0])[:120]
    return AddressDeniedError(f"The URL {shown!r} {why}.", details={"url": shown})

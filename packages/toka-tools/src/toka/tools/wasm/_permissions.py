"""What a call may need, derived from its arguments: `fs:read:{path}`, `kv:write:notes/{key}`.

A placeholder stands for the value of one argument; for a list, there is a permission for each item,
and for an argument that is not given there is none. In the domain `fs` a placeholder is a whole
path, or a whole directory as `{directory}/**`, and in `net` a whole URL: these are resolved first,
and the guest is given what they resolved to in the place of what the caller wrote.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import Permission, PermissionSyntaxError, Request, quote_resource
from toka.tools._errors import AccessDeniedError, InvalidArgumentsError, InvalidManifestError
from toka.tools.files._paths import file_request, resolve
from toka.tools.http._url import parse_target

if TYPE_CHECKING:
    from toka.tools._context import Workspace
    from toka.types import Json, JsonObject

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BELOW: Final = "/**"


@attrs.frozen
class Need:
    """One thing that a call needs."""

    request: str
    """What has to be granted before the call."""
    permissions: tuple[str, ...]
    """What its guest then has."""
    value: str = ""
    """What the guest is given in place of what the caller wrote."""


@attrs.frozen
class PermissionTemplate:
    """One permission of a manifest."""

    domain: str
    action: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> PermissionTemplate:
        """Read one.

        Raises:
            InvalidManifestError: It is none.
        """
        domain, _, rest = text.partition(":")
        action, _, resource = rest.partition(":")
        template = cls(domain, action, resource)
        try:
            Permission.parse(template.example)
        except PermissionSyntaxError as error:
            raise InvalidManifestError(f"{text!r} is no permission: {error.message}") from error
        if not template._is_sound():
            raise InvalidManifestError(
                f"{text!r} cannot be derived from arguments.",
                hint="Write fs:read:{path}, fs:read:{directory}/** or net:get:{url}.",
            )
        return template

    @property
    def text(self) -> str:
        """The template as it was written."""
        return f"{self.domain}:{self.action}:{self.resource}"

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments that it depends on."""
        return tuple(_PLACEHOLDER.findall(self.resource))

    @property
    def example(self) -> str:
        """A permission that it could become, for looking at its domain and action."""
        value = {"fs": "/x", "net": "https://x/"}.get(self.domain, "x")
        return f"{self.domain}:{self.action}:{_PLACEHOLDER.sub(value, self.resource)}"

    @property
    def _whole(self) -> str:
        """The resource without what says that a directory is meant."""
        if self.domain != "fs":
            return self.resource
        return self.resource.removesuffix(_BELOW) or "/"

    def _is_sound(self) -> bool:
        rest = _PLACEHOLDER.sub("", self._whole)
        if {"*", "{", "}"} & set(rest):
            return False
        return self.domain not in {"fs", "net"} or not (self.names and rest)

    def needs(self, arguments: JsonObject, workspace: Workspace, tool: str) -> list[Need]:
        """Return what a call needs, an item for each value.

        Raises:
            ToolError: The call cannot be allowed in any circumstances.
        """
        if self.domain in {"fs", "net"}:
            values = _values(arguments, self.names[0], tool) if self.names else [self._whole]
            return [self._resolved(value, workspace) for value in values]
        resources = [self.resource]
        for name in self.names:
            quoted = [quote_resource(value) for value in _values(arguments, name, tool)]
            resources = [one.replace(f"{{{name}}}", value) for one in resources for value in quoted]
        return [_need(f"{self.domain}:{self.action}:{one}") for one in resources]

    def _resolved(self, value: str, workspace: Workspace) -> Need:
        if self.domain == "net":
            target = parse_target(value)
            request = target.request(self.action)
            return Need(request, (request,), target.url)
        real = resolve(value, workspace)
        request = file_request(self.action, real)
        if not self.resource.endswith(_BELOW):
            return Need(request, (request,), real)
        return Need(request, (request, request.removesuffix("/") + _BELOW), real)


def _need(request: str) -> Need:
    try:
        return Need(request, (Request.parse(request).text,))
    except PermissionSyntaxError as error:
        raise AccessDeniedError(
            f"No permission can be {request[:80]!r}: {error.message}",
            details={"request": request[:512]},
        ) from error


def _values(arguments: JsonObject, name: str, tool: str) -> list[str]:
    value = arguments.get(name)
    if value is None:
        return []
    items: list[Json] = list(value) if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(item, (str, int)) for item in items):
        raise InvalidArgumentsError(
            f"{tool}: $.{name}: a permission is made of it, so it is text or a list of texts.",
            details={"tool": tool, "path": f"$.{name}"},
        )
    return [str(item) for item in items]


@attrs.frozen
class Derived:
    """All that a call needs, and its arguments with every path and URL as it was resolved."""

    requests: tuple[str, ...]
    permissions: tuple[str, ...]
    arguments: JsonObject


def derive(
    templates: tuple[PermissionTemplate, ...],
    arguments: JsonObject,
    workspace: Workspace,
    tool: str,
) -> Derived:
    """Work out what a call needs.

    Raises:
        ToolError: The call cannot be allowed in any circumstances.
    """
    given = dict(arguments)
    needs: list[Need] = []
    for template in templates:
        found = template.needs(arguments, workspace, tool)
        needs += found
        if template.names and found and found[0].value:
            (name,) = template.names
            values: list[Json] = [one.value for one in found]
            given[name] = values if isinstance(arguments[name], (list, tuple)) else values[0]
    requests = dict.fromkeys([one.request for one in needs])
    permissions = dict.fromkeys([text for one in needs for text in one.permissions])
    return Derived(tuple(requests), tuple(permissions), given)

"""The manifest of a tool that is a guest: JSON beside the module, which it pins by its hash.

Nothing runs when it is read. Everything that is not in the format is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, cast

import msgspec
from msgspec import Meta

from toka.tools._errors import InvalidManifestError, InvalidToolError
from toka.tools._manifest_file import read_bounded
from toka.tools._schema import compile_schema
from toka.tools.wasm._permissions import PermissionTemplate
from toka.types import JsonObject, SideEffect  # noqa: TC001 - msgspec reads the annotations

MAX_MANIFEST_BYTES: Final = 262_144

Sha256: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class GuestLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one call may use, where that is less or more than usual."""

    fuel: Annotated[int, Meta(ge=1)] | None = None
    memory_bytes: Annotated[int, Meta(ge=0)] | None = None
    deadline_seconds: Annotated[float, Meta(gt=0)] | None = None


class WasmManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model, a policy and the machine need to know of a guest."""

    wasm_tool: Literal[1]
    """The version of this format."""
    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    version: Annotated[str, Meta(min_length=1, max_length=64)] = "1"
    description: Annotated[str, Meta(min_length=1, max_length=4_096)]
    module: Annotated[str, Meta(min_length=1, max_length=1_024)]
    """The file of the module, beside the manifest or in a directory below."""
    sha256: Sha256
    """Of the module's bytes; other bytes are not run."""
    parameters: dict[str, object]
    """JSON Schema of the arguments, an object."""
    permissions: tuple[str, ...] = ()
    """What a call needs and its guest then has, as in `fs:read:{path}`."""
    side_effect: SideEffect
    honours_idempotency_key: bool = False
    taints: bool = True
    output: Literal["json", "text"] = "json"
    """What the guest writes to its standard output."""
    limits: GuestLimits = GuestLimits()

    @property
    def schema(self) -> JsonObject:
        """The parameters, as what they are."""
        return cast("JsonObject", self.parameters)

    @property
    def templates(self) -> tuple[PermissionTemplate, ...]:
        """The permissions, read.

        Raises:
            InvalidManifestError: One is not in the format.
        """
        return tuple([PermissionTemplate.parse(one) for one in self.permissions])


def load_wasm_manifest(path: str | Path) -> WasmManifest:
    """Read a manifest from a file.

    Raises:
        InvalidManifestError: The file cannot be read, or is no manifest.
    """
    return parse_wasm_manifest(read_bounded(Path(path), MAX_MANIFEST_BYTES), str(path))


def parse_wasm_manifest(data: bytes | str, source: str = "manifest") -> WasmManifest:
    """Read a manifest from JSON.

    Raises:
        InvalidManifestError: It is too long, not JSON, or no manifest; the message says where.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise InvalidManifestError(f"{source} is longer than {MAX_MANIFEST_BYTES} bytes.")
    try:
        manifest = msgspec.json.decode(data, type=WasmManifest)
        compile_schema(manifest.schema, manifest.name)
        _check(manifest)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidManifestError(f"{source}: {str(error).rstrip('.')}.") from error
    except (InvalidManifestError, InvalidToolError) as error:
        raise InvalidManifestError(f"{source}: {error.message}", hint=error.hint) from error
    return manifest


def _check(manifest: WasmManifest) -> None:
    if manifest.parameters.get("type") != "object":
        raise InvalidManifestError("The parameters are no schema of an object.")
    properties = manifest.schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    for template in manifest.templates:
        for name in template.names:
            if name not in known:
                raise InvalidManifestError(
                    f"The permission {template.text!r} names the parameter {name!r}, which is none."
                )
    if re.match(r"/|.*\\", manifest.module) or ".." in manifest.module.split("/"):
        raise InvalidManifestError(f"The module {manifest.module!r} is not beside the manifest.")

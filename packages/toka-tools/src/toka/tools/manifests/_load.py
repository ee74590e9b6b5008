"""Manifests of every format as tools, by what a file is called and holds."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from toka.tools._errors import InvalidManifestError
from toka.tools._manifest_file import read_bounded
from toka.tools.manifests._json_manifest import (
    MAX_MANIFEST_BYTES,
    HttpTransport,
    InProcessTransport,
    StdioTransport,
    parse_json_manifest,
)
from toka.tools.manifests._json_tool import JsonManifestTool, unsupported
from toka.tools.manifests._manifest import parse_manifest
from toka.tools.manifests._manifest_tool import manifest_tool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.tools._tool import Tool
    from toka.tools.manifests._json_manifest import JsonManifest, WasmTransport
    from toka.tools.manifests._json_tool import Handler

SUFFIXES: Final = (".yaml", ".yml", ".json")

_NONE: Final[Mapping[str, Handler]] = MappingProxyType({})


class _Kind(msgspec.Struct):
    wasm_tool: int = 0


def load_tool(
    path: str | Path, root: str | Path | None = None, handlers: Mapping[str, Handler] = _NONE
) -> Tool:
    """Read a manifest from a file, as a tool.

    A `.json` file is a manifest of version 1.1, or of a WebAssembly guest if it has `wasm_tool`;
    any other is one in YAML.

    Args:
        path: The manifest.
        root: The directory from which programs are named; else the manifest's own, or the one
            above if that is called `manifests`.
        handlers: What is called for a tool's id over the transport `in_process`.

    Raises:
        InvalidManifestError: The file cannot be read, is no manifest, or names a program that is
            not below `root`.
    """
    return read_tool(Path(path), read_bytes(Path(path)), root, handlers)


def read_bytes(path: Path, *, private: bool = False) -> bytes:
    """Read a file of at most the size of a manifest.

    Raises:
        InvalidManifestError: It cannot be read, is longer, or is to be private and is not.
    """
    return read_bounded(path, MAX_MANIFEST_BYTES, private=private)


def read_tool(
    path: Path, data: bytes, root: str | Path | None, handlers: Mapping[str, Handler] = _NONE
) -> Tool:
    """Return the tool that a manifest's bytes describe.

    Raises:
        InvalidManifestError: They are no manifest.
    """
    home = home_of(path, root)
    if path.suffix != ".json":
        loaded = parse_manifest(data, str(path))
        return manifest_tool(loaded.manifest, home, loaded.digest)
    if is_guest(data):
        from toka.tools.wasm._manifest import parse_wasm_manifest  # noqa: PLC0415 - as below
        from toka.tools.wasm._tool import tool_beside  # noqa: PLC0415 - toka-cvm is an extra

        return tool_beside(path, parse_wasm_manifest(data, str(path)))
    return _json_tool(parse_json_manifest(data, str(path)), home, handlers)


def home_of(path: Path, root: str | Path | None) -> Path:
    """Return the directory from which a manifest names programs."""
    if root is not None:
        return Path(root)
    folder = path.absolute().parent
    return folder.parent if folder.name == "manifests" else folder


def is_guest(data: bytes) -> bool:
    """Say whether a JSON manifest is that of a WebAssembly guest."""
    try:
        return msgspec.json.decode(data, type=_Kind).wasm_tool > 0
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False


def _json_tool(manifest: JsonManifest, home: Path, handlers: Mapping[str, Handler]) -> Tool:
    for transport in manifest.transports:
        if isinstance(transport, InProcessTransport):
            handler = handlers.get(manifest.id)
            if handler is not None:
                return JsonManifestTool(manifest, transport, home, handler)
        elif isinstance(transport, (HttpTransport, StdioTransport)):
            return JsonManifestTool(manifest, transport, home)
        else:
            return _guest(manifest, transport, home)
    raise unsupported(manifest)


def _guest(manifest: JsonManifest, transport: WasmTransport, home: Path) -> Tool:
    """Return a guest that has no permissions: the format has no place to say any."""
    from hashlib import sha256  # noqa: PLC0415 - only for guests

    from toka.cvm import ModuleLimits  # noqa: PLC0415 - toka-cvm is an extra
    from toka.tools.wasm import WasmManifest, WasmTool  # noqa: PLC0415 - toka-cvm is an extra

    module = home / transport.path
    if not module.resolve().is_relative_to(home.resolve()):
        raise InvalidManifestError(f"The module {transport.path!r} is not below {home}.")
    wasm = read_bounded(module, ModuleLimits().module_bytes)
    about = WasmManifest(
        wasm_tool=1,
        name=manifest.name,
        version=manifest.version,
        description=manifest.description or manifest.name,
        module=transport.path,
        sha256=sha256(wasm).hexdigest(),
        parameters=dict(manifest.parameters),
        side_effect=manifest.side_effect,
    )
    return WasmTool(about, wasm)

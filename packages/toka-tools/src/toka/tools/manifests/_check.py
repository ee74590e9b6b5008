"""What there is to say about a manifest before anybody calls its tool."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from toka.tools._errors import CommandDeniedError, CommandStartError
from toka.tools._schema import compile_schema
from toka.tools.manifests._json_manifest import InProcessTransport, parse_json_manifest
from toka.tools.manifests._load import home_of, is_guest, read_bytes
from toka.tools.manifests._manifest import parse_manifest
from toka.tools.manifests._manifest_tool import manifest_tool
from toka.tools.process._programs import DEFAULT_PATH, find_program

if TYPE_CHECKING:
    from collections.abc import Iterable


@attrs.frozen
class ManifestReport:
    """A manifest that can be understood."""

    name: str
    """Of its tool."""
    warnings: tuple[str, ...]
    """What is vague in it, and what is not there."""


def check_manifest(path: str | Path, root: str | Path | None = None) -> ManifestReport:
    """Read a manifest and look for what it names; nothing of it is run.

    Args:
        path: The manifest.
        root: The directory from which programs are named; see `load_tool`.

    Raises:
        InvalidManifestError: It cannot be read, or is no manifest; the message begins with file,
            line and column where there is one.
        InvalidToolError: Its schema is none.
    """
    file = Path(path)
    data = read_bytes(file)
    if file.suffix != ".json":
        return _yaml(file, data, root)
    if is_guest(data):
        from toka.tools.wasm import load_wasm_tool  # noqa: PLC0415 - toka-cvm is an extra

        return ManifestReport(load_wasm_tool(file).name, ())
    manifest = parse_json_manifest(data, str(file))
    alone = all(isinstance(one, InProcessTransport) for one in manifest.transports)
    said = f"Only a host that registers something for {manifest.id!r} can call it."
    return ManifestReport(manifest.name, (said,) if alone else ())


def _yaml(file: Path, data: bytes, root: str | Path | None) -> ManifestReport:
    loaded = parse_manifest(data, str(file))
    tool = manifest_tool(loaded.manifest, home_of(file, root))
    compile_schema(tool.parameters, tool.name)
    missing = [*_missing_programs(loaded.manifest.dependencies.system)]
    if not os.path.isfile(tool.program):  # noqa: PTH113 - plain text is enough here
        missing.insert(0, f"There is no program at {tool.program}.")
    return ManifestReport(tool.name, (*loaded.warnings, *missing))


def _missing_programs(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        try:
            find_program(name, DEFAULT_PATH)
        except (CommandStartError, CommandDeniedError):
            yield f"It depends on {name[:80]!r}, which is no program of {':'.join(DEFAULT_PATH)}."

"""Tools that are WebAssembly guests: a module, and a manifest that says what its calls may need."""

from toka.tools.wasm._errors import GuestFailedError
from toka.tools.wasm._http import http_handler
from toka.tools.wasm._manifest import (
    GuestLimits,
    WasmManifest,
    load_wasm_manifest,
    parse_wasm_manifest,
)
from toka.tools.wasm._tool import WasmTool, load_wasm_tool

__all__ = [
    "GuestFailedError",
    "GuestLimits",
    "WasmManifest",
    "WasmTool",
    "http_handler",
    "load_wasm_manifest",
    "load_wasm_tool",
    "parse_wasm_manifest",
]

"""Tools that a file describes: programs, servers and guests, read as data and called as tools."""

from toka.tools.manifests._check import ManifestReport, check_manifest
from toka.tools.manifests._directory import ManifestDirectory
from toka.tools.manifests._json_manifest import JsonManifest, parse_json_manifest
from toka.tools.manifests._json_tool import JsonManifestTool
from toka.tools.manifests._load import load_tool
from toka.tools.manifests._manifest_tool import ManifestTool

__all__ = [
    "JsonManifest",
    "JsonManifestTool",
    "ManifestDirectory",
    "ManifestReport",
    "ManifestTool",
    "check_manifest",
    "load_tool",
    "parse_json_manifest",
]

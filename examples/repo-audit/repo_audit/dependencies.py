"""Dependencies and their licences, from the manifests that the task before found."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from repo_audit import licences
from repo_audit.facts import Facts, call, result
from repo_audit.manifests import Unreadable, normal_name, parse
from toka.agent_runtime import StepFailed

if TYPE_CHECKING:
    from toka.agent_runtime import TaskContext

MAX_MANIFESTS: Final = 500
MAX_MANIFEST_BYTES: Final = 524_288
MAX_LICENCE_FOLDERS: Final = 20
"""Folders with manifests beside which installed packages are looked for."""


async def read(ctx: TaskContext) -> Facts:
    """Read every manifest, and look for the licence of everything that is named."""
    listings: list[Facts] = result(ctx, "find")["listings"]
    root: str = listings[0]["path"]
    paths = sorted({entry["path"] for listing in listings for entry in listing["entries"]})
    manifests: list[Facts] = []
    faults: list[dict[str, str]] = []
    for path in paths[:MAX_MANIFESTS]:
        relative = path[len(root.rstrip("/")) + 1 :]
        try:
            project = parse(PurePosixPath(path).name, await _content(ctx, path))
            manifests.append({"path": relative, **project})
        except (Unreadable, StepFailed) as error:
            faults.append({"path": relative, "reason": str(error)})
    left = [path[len(root.rstrip("/")) + 1 :] for path in paths[MAX_MANIFESTS:]]
    faults += [{"path": path, "reason": "not read, there are too many"} for path in left]
    folders = [str(PurePosixPath(path).parent) for path in paths[:MAX_LICENCE_FOLDERS]]
    known = await licences.installed(ctx, root, folders) if manifests else {}
    known |= licences.of_projects(manifests)
    table = _table(manifests, known)
    return {
        "found": len(paths),
        "manifests": [_summary(manifest) for manifest in manifests],
        "faults": faults,
        "dependencies": table,
        "unknown_licences": sum(row["licence"] is None for row in table),
        "truncated": any(listing["truncated"] for listing in listings),
    }


async def _content(ctx: TaskContext, path: str) -> str:
    file = await call(ctx, "read_file", path=path, max_bytes=MAX_MANIFEST_BYTES)
    if file["truncated"]:
        raise Unreadable(f"it is longer than {MAX_MANIFEST_BYTES} bytes")
    content: str = file["content"]
    return content


def _summary(manifest: Facts) -> Facts:
    rest = {key: value for key, value in manifest.items() if key != "dependencies"}
    return {**rest, "count": len(manifest["dependencies"])}


def _table(manifests: list[Facts], known: licences.Known) -> list[Facts]:
    """Return one row for each dependency, whoever names it."""
    rows: dict[tuple[str, str], Facts] = {}
    for manifest in manifests:
        for dependency in manifest["dependencies"]:
            ecosystem = manifest["ecosystem"]
            name = normal_name(ecosystem, dependency["name"])
            row = rows.setdefault(
                (ecosystem, name), {"requirements": set(), "scopes": set(), "used_by": set()}
            )
            row["requirements"].add(dependency["requirement"] or "any")
            row["scopes"].add(dependency["scope"])
            row["used_by"].add(manifest["path"])
    return [
        {
            "ecosystem": ecosystem,
            "name": name,
            "requirements": sorted(row["requirements"]),
            "scopes": sorted(row["scopes"]),
            "installed": known.get(f"{ecosystem} {name}", {}).get("version"),
            "licence": known.get(f"{ecosystem} {name}", {}).get("licence"),
            "used_by": sorted(row["used_by"]),
        }
        for (ecosystem, name), row in sorted(rows.items())
    ]

"""What may be in the wheels. They share namespaces, so one of them can spoil another."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from email.parser import HeaderParser
from typing import TYPE_CHECKING

from workshop.members import Requirement
from workshop.versions import sister_specifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import Message
    from pathlib import Path

    from workshop.members import Member

METADATA_VERSIONS = ("2.3", "2.4")
"""What upload validators accept; build backends are ahead of them."""


def complaints(folder: Path, members: Sequence[Member], licence: bytes) -> list[str]:
    """Return what is wrong with a folder of wheels; it must hold one of each member, no more."""
    found: list[str] = []
    owners: defaultdict[str, list[str]] = defaultdict(list)
    expected = {f"{member.wheel_stem}-py3-none-any.whl": member for member in members}
    present = {path.name: path for path in folder.glob("*.whl")}
    found += [f"{name} is missing" for name in sorted(expected.keys() - present.keys())]
    found += [f"{name} is of no member" for name in sorted(present.keys() - expected.keys())]
    for name in sorted(expected.keys() & present.keys()):
        with zipfile.ZipFile(present[name]) as wheel:
            found += [f"{name}: {text}" for text in _wheel(wheel, expected[name], members, licence)]
            for path in wheel.namelist():
                owners[path].append(name)
    shared = {path: names for path, names in owners.items() if len(names) > 1}
    return found + [f"{path} is in {' and '.join(names)}" for path, names in sorted(shared.items())]


def _wheel(
    wheel: zipfile.ZipFile, member: Member, members: Sequence[Member], licence: bytes
) -> Iterator[str]:
    information = f"{member.wheel_stem}.dist-info"
    names = set(wheel.namelist())
    for name in sorted(names):
        if not name.startswith((f"{member.import_path}/", f"{information}/")):
            yield f"{name} lies outside {member.import_path}/"
        if "/tests/" in name or name.endswith(".pyc"):
            yield f"{name} has no place in a wheel"
    for name in ("__init__.py", "py.typed"):
        if f"{member.import_path}/{name}" not in names:
            yield f"{member.import_path}/{name} is missing"
    licence_path = f"{information}/licenses/LICENSE"
    if licence_path not in names:
        yield f"{licence_path} is missing"
    elif wheel.read(licence_path) != licence:
        yield f"{licence_path} differs from the project's"
    metadata = HeaderParser().parsestr(wheel.read(f"{information}/METADATA").decode())
    yield from _metadata(metadata, member, members)


def _metadata(metadata: Message, member: Member, members: Sequence[Member]) -> Iterator[str]:
    if metadata["Metadata-Version"] not in METADATA_VERSIONS:
        yield f"Metadata-Version {metadata['Metadata-Version']} is refused by upload validators"
    wanted = {
        "Name": member.name,
        "Version": member.version,
        "Summary": member.description,
        "Requires-Python": member.requires_python,
        "License-Expression": "Apache-2.0",
    }
    for key, value in wanted.items():
        if metadata[key] != value:
            yield f"{key} is {metadata[key]!r}; {value!r} is wanted"
    if not metadata.get_payload():
        yield "there is no README in its metadata"
    sisters = {sister.name for sister in members}
    specifier = sister_specifier(member.version)
    for text in metadata.get_all("Requires-Dist", []):
        requirement = Requirement.parse(text)
        if requirement.name in sisters and not requirement.specifier.startswith(specifier):
            yield f"it requires {text}; {specifier} is wanted"

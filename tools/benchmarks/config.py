"""Configuration files: reading one key in a new process, and changing one in a large file.

The peer is what one would write without `toka-config`: a program that reads the file with
ruamel.yaml, which keeps comments, and writes it again. Its text is not the same one everywhere
else; ours must be, or the figure does not count. Both are processes of their own, counted with all
that their start takes, by the second of the processor: they wait for nothing but one sync.
"""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from workshop.measure import Measure, NotInstalled, at_most, scratch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_OURS: Final = (sys.executable, "-m", "toka.config_cli")
_MEGABYTE: Final = 1_000_000
_KEY: Final = "services.service-{}.enabled"
_READ: Final = """\
import sys
from ruamel.yaml import YAML
print(YAML().load(open(sys.argv[1]))["services"]["service-1"]["enabled"])
"""
_CHANGE: Final = """\
import sys
from ruamel.yaml import YAML
yaml = YAML()
yaml.preserve_quotes = True
data = yaml.load(open(sys.argv[1]))
data["services"]["service-" + sys.argv[2]]["enabled"] = "changed"
yaml.dump(data, open(sys.argv[1], "w"))
"""
_SERVICE: Final = """\
  # service {0}
  service-{0}:
    <<: *defaults
    image: "registry.example/app-{0}:1.{1}.0"   # pinned
    ports: [80, {2}]
    enabled: yes-please
    env:
      - name: HOME
        value: '/srv/{0}'
      - {{name: LEVEL, value: info}}
    note: |
      first line of {0}
        second line
"""


def measures() -> list[Measure]:
    """Return what is measured."""
    return [
        Measure(
            "config: get one key, a new process each time",
            "CPU s",
            {"ours": _get, "ruamel.yaml": _get_with_ruamel},
            [at_most(0.15)],
        ),
        Measure(
            "config: set in 5 MB of YAML, all else byte-identical",
            "CPU s",
            {"ours": partial(_set, 5 * _MEGABYTE)},
            [at_most(3)],
        ),
        Measure(
            "config: set in 200 kB of YAML",
            "CPU s",
            {
                "ours": partial(_set, _MEGABYTE // 5),
                "ruamel.yaml": _set_with_ruamel,
            },
        ),
    ]


def _get() -> float:
    with scratch() as folder:
        file, _ = _written(folder, 1_000)
        return _processor([*_OURS, "get", str(file), _KEY.format(1)])


def _get_with_ruamel() -> float:
    _want_ruamel()
    with scratch() as folder:
        file, _ = _written(folder, 1_000)
        return _processor([sys.executable, "-c", _READ, str(file)])


def _set(size: int) -> float:
    with scratch() as folder:
        file, count = _written(folder, size)
        before = file.read_text("utf-8")
        command = [*_OURS, "set", str(file), _KEY.format(count // 2), "changed"]
        took = _processor(command)
        _check(before, file.read_text("utf-8"))
        return took


def _set_with_ruamel() -> float:
    _want_ruamel()
    with scratch() as folder:
        file, count = _written(folder, _MEGABYTE // 5)
        return _processor([sys.executable, "-c", _CHANGE, str(file), str(count // 2)])


def _written(folder: Path, size: int) -> tuple[Path, int]:
    """Write services until they have `size` bytes; return the file and how many there are."""
    parts = ["# made to be measured\ndefaults: &defaults\n  retries: 3   # why\nservices:\n"]
    count, total = 0, 0
    while total < size:
        parts.append(_SERVICE.format(count, count % 50, 8_000 + count % 1_000))
        total += len(parts[-1])
        count += 1
    file = folder / "services.yaml"
    file.write_text("".join(parts), "utf-8")
    return file, count


def _check(before: str, after: str) -> None:
    changed = [
        line
        for line in difflib.ndiff(*_around(before.splitlines(True), after.splitlines(True)))
        if line[0] in "+-"
    ]
    if changed != ["-     enabled: yes-please\n", "+     enabled: changed\n"]:
        raise ValueError(f"other lines changed too: {changed[:4]}")


def _around(one: Sequence[str], other: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the stretch of two texts, of as many lines, that is not the same."""
    places = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    return one[places[0] : places[-1] + 1], other[places[0] : places[-1] + 1]


def _processor(command: Sequence[str]) -> float:
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - written above
    after = os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system
    )


def _want_ruamel() -> None:
    if find_spec("ruamel") is None:
        raise NotInstalled("ruamel.yaml")

"""`toka init`: a first specification to start from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

import click

from toka.cli._errors import UsageError
from toka.cli._exits import Exit

FILE: Final = "agent.yaml"

SPECIFICATION: Final = """\
# An agent that counts what is in a folder. Run it with: toka run agent.yaml
# Then: toka status, toka agents, toka events, toka replay --verify.
metadata:
  name: counter

# What can be given on the command line: toka run agent.yaml --input target=../elsewhere
inputs:
  target: {type: path, default: ".", description: The folder to look at}

# A run has met its objectives when every check holds.
objectives:
  - description: The count is on disk
    check: "results.count.written.bytes > 0"

tasks:
  default:
    - id: count
      description: Count the files of a folder
      # A playbook: each step is one call of a tool, its result bound to a name. A step that was
      # finished is never done again, whatever happens to this process.
      steps:
        - tool: list_files
          with: {path: "${inputs.target}"}
          as: files
        - tool: write_file
          with:
            path: "${run.artifacts}/count.txt"
            content: "${string(size(files.entries))} entries\\n"
          as: written

security:
  # Everything that the agent may do. Take a line away, and the step that needs it is refused.
  capabilities_required:
    - "fs:read:${inputs.target}/**"
    - "fs:write:${run.artifacts}/**"
"""


@click.command("init", epilog="\b\nExamples:\n  toka init\n  toka init my-agents")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path())
def command(*, directory: Path) -> int:
    """Write a small specification with comments into DIRECTORY, the current one by default."""
    path = directory / FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(SPECIFICATION)
    except FileExistsError as error:
        raise UsageError(
            f"{path} is there already and was left as it is.", hint="Name another directory."
        ) from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.", hint="Name another directory."
        ) from error
    click.echo(f"Wrote {path}. Try: toka run {shlex.quote(str(path))}")
    return Exit.MET

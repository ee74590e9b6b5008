"""Which language a file is in, by its name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

_EXTENSIONS: Final = {
    "Assembly": "asm s",
    "C": "c h",
    "C#": "cs",
    "C++": "cc cpp cxx hh hpp hxx ipp",
    "CSS": "css less sass scss",
    "Clojure": "clj cljc cljs edn",
    "Dart": "dart",
    "Elixir": "ex exs",
    "Erlang": "erl hrl",
    "F#": "fs fsi fsx",
    "Go": "go",
    "GraphQL": "gql graphql",
    "HCL": "hcl tf tfvars",
    "HTML": "htm html xhtml",
    "Haskell": "hs lhs",
    "JSON": "json json5 jsonc jsonl",
    "Java": "java",
    "JavaScript": "cjs js jsx mjs",
    "Julia": "jl",
    "Kotlin": "kt kts",
    "Lua": "lua",
    "Markdown": "markdown md mdx",
    "Nix": "nix",
    "OCaml": "ml mli",
    "Objective-C": "m mm",
    "PHP": "php",
    "Perl": "pl pm",
    "PowerShell": "ps1 psm1",
    "Protocol Buffers": "proto",
    "Python": "py pyi pyx",
    "R": "r rmd",
    "Ruby": "erb rake rb",
    "Rust": "rs",
    "SQL": "sql",
    "Scala": "sbt scala",
    "Shell": "bash fish ksh sh zsh",
    "Svelte": "svelte",
    "Swift": "swift",
    "TOML": "toml",
    "Text": "adoc csv rst tex text tsv txt",
    "TypeScript": "cts mts ts tsx",
    "Vue": "vue",
    "XML": "svg xml xsd xsl",
    "YAML": "yaml yml",
    "Zig": "zig",
}
_NAMES: Final = {
    "BUILD": "Starlark",
    "CMakeLists.txt": "CMake",
    "Dockerfile": "Dockerfile",
    "GNUmakefile": "Make",
    "Gemfile": "Ruby",
    "Jenkinsfile": "Groovy",
    "Justfile": "Just",
    "LICENSE": "Text",
    "Makefile": "Make",
    "README": "Text",
    "Rakefile": "Ruby",
    "WORKSPACE": "Starlark",
    "go.mod": "Go module",
    "justfile": "Just",
    "makefile": "Make",
}
_BY_EXTENSION: Final = {
    extension: language
    for language, extensions in _EXTENSIONS.items()
    for extension in extensions.split()
}


def language_of(name: str) -> str | None:
    """Return the language of a file called `name`, or None if its name does not tell."""
    if name in _NAMES:
        return _NAMES[name]
    return _BY_EXTENSION.get(PurePosixPath(name).suffix.lower().removeprefix("."))

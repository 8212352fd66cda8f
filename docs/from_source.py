"""Two directives that generate reference pages from the source, so that they stay correct.

``commands`` describes ``tlsfloor`` and each of its commands by their parsers and docstrings;
``json-schema NAME`` an object that a command prints, by its schema, and each kind of object in it
that other schemas do not have; ``json-schema shared`` the kinds that several have.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.util.docutils import SphinxDirective

import tlsfloor
from tlsfloor import cli
from tlsfloor.cli import _manual

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx

SCHEMAS = Path(tlsfloor.__file__).parent / "schemas"

#: The kinds of objects that several schemas have; ``verify`` has all of them.
SHARED = ("tool", "run", "library")

#: Wide enough for the usage of a command, narrow enough for a page.
WIDTH = 88


def command(parser: Any) -> Iterator[str]:
    """Write a command in Markdown: what it is for, its usage, options, examples and statuses."""
    known = _manual.split(parser.prog, parser.text())
    formatter = argparse.HelpFormatter(parser.prog, width=WIDTH)
    formatter.add_usage(None, parser._actions, parser._mutually_exclusive_groups, prefix="")
    yield f"## {parser.prog}\n\n{plain(known.about)}\n"
    yield f"```text\n{formatter.format_help()}```\n\n```{{program}} {parser.prog}\n```\n"
    for action in parser._actions:
        if action.help in (None, argparse.SUPPRESS) or "--help" in action.option_strings:
            continue
        choices = "{" + ",".join(map(str, action.choices or ())) + "}"
        value = action.metavar or (choices if action.choices else action.dest.upper())
        takes = "" if action.nargs == 0 else f" {value}"
        names = [f"{option}{takes}" for option in action.option_strings] or [str(value)]
        yield f"```{{option}} {', '.join(names)}\n{plain(formatter._expand_help(action))}\n```\n"
    examples = re.sub(r"  \$ (.*)\n      (.*)", r"# \2\n\1", known.examples)
    yield f"```bash\n{examples}\n```\n"
    statuses = re.sub(r"  (\S+) +(.*)\n?", r"- `\1`: \2\n", known.statuses)
    yield f"Exit statuses:\n\n{statuses}\n"
    if known.page != "reference/cli.md":
        yield f"See also [](../{known.page}).\n"


def table(schema: dict[str, Any]) -> Iterator[str]:
    """Write the keys of an object in Markdown."""
    yield "| key | type | meaning |\n| --- | --- | --- |\n"
    for key, value in schema["properties"].items():
        yield f"| `{key}` | {kind(value)} | {plain(value.get('description', ''))} |\n"
    yield "\n"


def kind(value: dict[str, Any]) -> str:
    """Name the type of a value, in Markdown."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name})"
    if "const" in value or "enum" in value:
        return ", ".join(
            f"`{json.dumps(each)}`" for each in value.get("enum", [value.get("const")])
        )
    if "properties" in value:
        return "object of " + ", ".join(f"`{each}`" for each in value["properties"])
    if "anyOf" in value or "items" in value:
        several = value.get("anyOf")
        return " or ".join(map(kind, several)) if several else f"array of {kind(value['items'])}"
    if isinstance(value.get("additionalProperties"), dict):
        return f"object of {kind(value['additionalProperties'])}"
    kinds = value.get("type", "any")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def plain(text: str) -> str:
    """Escape a text for Markdown, except `code`; write options of commands as code."""
    text = re.sub(r"(?<![\w`-])(--?\w[\w-]*)", r"`\1`", text)
    return re.sub(r"([\\*_{}\[\]<>#|])(?=(?:[^`]*`[^`]*`)*[^`]*$)", r"\\\1", text)


class _Generated(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("".join(self.text()), allow_section_headings=True)

    def text(self) -> Iterator[str]:
        raise NotImplementedError


class Commands(_Generated):
    """Describe every command, in the order of ``tlsfloor --help``."""

    def text(self) -> Iterator[str]:
        """Return the description in Markdown."""
        parser, commands = cli.make_parser()
        yield "\n".join(command(parser)) + "\n"
        for each in commands:
            yield "\n".join(command(each.load())) + "\n"


class JsonSchema(_Generated):
    """Describe an object that a command prints, or what several have."""

    required_arguments = 1

    def text(self) -> Iterator[str]:
        """Return the description in Markdown."""
        [name] = self.arguments
        file = SCHEMAS / f"{'verify' if name == 'shared' else name}.json"
        self.env.note_dependency(str(file))
        schema = json.loads(file.read_text("utf-8"))
        if name != "shared":
            # Begin with a heading: MyST loses text before the first one.
            yield f"### {schema['title']}\n\n{plain(schema['description'])}\n\n"
            yield from table(schema)
        for each, part in schema["$defs"].items():
            if (each in SHARED) == (name == "shared"):
                yield f"### {each}\n\n{plain(part['description'])}\n\n"
                if "properties" in part:
                    yield from table(part)
                else:
                    yield f"{kind(part)}\n\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("commands", Commands)
    app.add_directive("json-schema", JsonSchema)
    return {"parallel_read_safe": True}

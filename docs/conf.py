"""Sphinx builds the documentation site from this: ``nox -s docs``."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from docutils import nodes

sys.path.insert(0, os.path.dirname(__file__))

import tlsfloor

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "tlsfloor"
author = "The tlsfloor developers"
release = version = tlsfloor.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "from_source",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
# Do not change "--option" to a dash.
smartquotes = False

# A copy button copies only the commands of a transcript, without their prompts and output.
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"

autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
add_module_names = False
napoleon_numpy_docstring = False

nitpicky = True
# Python's own class. No link to it, because that would need Python's site during the build.
nitpick_ignore = [("py:class", "ssl.SSLContext")]

man_pages = [("reference/cli", "tlsfloor", "set a minimum TLS version and prove it", "", 1)]

html_theme = "furo"
html_title = f"tlsfloor {version}"
html_static_path = ["_static"]
html_css_files = ["tlsfloor.css"]
html_show_copyright = html_show_sphinx = False
html_copy_source = html_use_index = html_domain_indices = False


def _dash(app: Sphinx, doctree: nodes.document) -> None:
    """Put a dash between a parameter and its description, where Sphinx has two hyphens."""
    del app
    for text in list(doctree.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def _name_files(app: Sphinx, doctree: nodes.document) -> None:
    """Show the file name above a code block that ``<!-- file: client.py -->`` precedes."""
    del app
    for comment in list(doctree.findall(nodes.raw)):
        name = re.fullmatch(r"<!-- file: (.+) -->\n?", comment.astext())
        block = comment.next_node(descend=False, siblings=True)
        if name and isinstance(block, nodes.literal_block):
            whole = nodes.container(
                "",
                nodes.caption("", "", nodes.literal("", name[1])),
                block.deepcopy(),
                literal_block=True,
                classes=["literal-block-wrapper"],
            )
            doctree.set_id(whole)
            block.parent.replace(block, whole)


def _drop_links(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Keep the text of links to other pages in the manual page, which has no such pages."""
    del page
    if app.builder.name == "man":
        for link in list(doctree.findall(nodes.reference)):
            if link.get("internal"):
                link.replace_self(link.children)


def setup(app: Sphinx) -> None:
    """Register the two functions above."""
    app.connect("doctree-read", _dash)
    app.connect("doctree-read", _name_files)
    app.connect("doctree-resolved", _drop_links)

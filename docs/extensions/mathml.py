"""Render formulas as MathML, which browsers draw without a script or a font from elsewhere."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

#: Vertical bars: browsers take them for relations and set them apart.
BARS = re.compile(r"<mo[^>]*>(&#x0007C;|&#x02016;|&#x02225;)</mo>")


def render(latex: str, display: str) -> str:
    """Return the MathML of `latex`."""
    try:
        mathml = convert(latex, display=display)
    except Exception as error:
        raise ExtensionError(f"The formula {latex!r} cannot be rendered: {error}") from error
    return BARS.sub(r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', mathml)


def visit_inline(translator: Any, node: nodes.math) -> None:
    """Write an inline formula."""
    translator.body.append(render(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.math_block) -> None:
    """Write a displayed formula."""
    body = render(node.astext(), "block")
    translator.body.append(f'<div class="math-block">{body}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer under the name that ``html_math_renderer`` selects."""
    app.add_html_math_renderer("mathml", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

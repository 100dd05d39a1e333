"""The shell that every page shares: one file, no network, a strict content security policy, everything escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multimodal.errors import DependencyError
from multimodal.files import atomic_write
from multimodal.palette import COLORS, MODALITY_COLORS, SIGNS, ink_on

if TYPE_CHECKING:
    from bokeh.model import Model

POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "media-src 'self' file: blob:; base-uri 'none'; form-action 'none'"
)
"""Only our own scripts, known by their hashes; nothing from anywhere but the recording beside the page.

Styles may stand in the page because Bokeh makes its own as it goes.
"""

NO_SCRIPT_END = re.compile(r"</script|<!--", re.IGNORECASE)
"""What would end a script, or change how its end is looked for, wherever it stands in it."""


def render(
    title: str,
    body: str,
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    data: Mapping[str, Any] | None = None,
    figures: Mapping[str, Model] | None = None,
) -> str:
    """Puts a page together.

    Args:
        title: Plain text.
        body: HTML in which every text is escaped; it needs a ``main``.
        styles: Stylesheets that come after the common one.
        scripts: Scripts that come after the common one, which gives them ``page`` (see ``assets/page.js``).
        data: What the scripts find as ``page.data``; plain values.
        figures: Bokeh models by the id of the element that ``chart_place`` made for them. Bokeh's own script is only
            in pages that have any.

    Returns:
        The page; the same for the same arguments, whatever else the process has drawn.

    Example:
        >>> print(render("A <b>", "<main>…</main>", scripts=["page.data;"])[:53])
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset
    """
    sources = [*([bokeh_script()] if figures else []), asset("page.js"), *scripts]
    sources = [_checked(source.replace("\r\n", "\n")) for source in sources]
    items = {name: figure_item(figure) for name, figure in (figures or {}).items()}
    style = "\n".join([color_variables(), asset("page.css"), *styles]).replace("</", r"<\/")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(sources)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<style>
{style}
</style>
</head>
<body>
{body}
<script type="application/json" id="data">{embedded({**(data or {}), "figures": items})}</script>
{"".join(f"<script>{source}</script>{chr(10)}" for source in sources)}</body>
</html>
"""


def write_page(path: Path, text: str) -> Path:
    """Writes a page whole or not at all.

    Args:
        path: Where it shall stand.
        text: From ``render``.

    Returns:
        ``path``.

    Raises:
        OutputError: The folder cannot be written, or the disk is full.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def escape(text: object) -> str:
    """A text as it may stand in HTML, between tags or in a quoted attribute.

    Example:
        >>> escape("<b title='x'>")
        '&lt;b title=&#x27;x&#x27;&gt;'
    """
    known = str(text).encode("utf-8", "replace").decode("utf-8")  # a file name may hold what no encoding has
    return html.escape(known.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def embedded(value: Any) -> str:
    r"""Values as JSON that cannot end the script element it stands in.

    Example:
        >>> embedded({"said": "</script>"})
        '{"said":"\\u003c/script>"}'
    """
    # Sorted nowhere: the order of labels means something. ASCII only, so lone surrogates survive as escapes.
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def policy(scripts: Sequence[str]) -> str:
    """The content security policy of a page with these scripts and no others.

    Example:
        >>> policy(["1;"]).split("; ")[1]
        "script-src 'sha256-CImjRDTlhukYQ2AnxOi0wzgPhGQ3Mb3rVwJK24dFz1M='"
    """
    digests = [base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() for source in scripts]
    return POLICY.format(scripts=" ".join(f"'sha256-{digest}'" for digest in digests) or "'none'")


def chart_place(name: str, label: str, height: int) -> str:
    """The element that a figure of that name is drawn into: a picture with a description, for who cannot see it.

    Args:
        name: The key in ``figures``.
        label: What is to be seen, in a sentence; where the same stands as text.
        height: In pixels, kept free until it is drawn.
    """
    return (
        f'<div class="chart" id="{escape(name)}" role="img" aria-label="{escape(label)}" '
        f'style="min-height:{height}px"></div>'
    )


def figure_item(figure: Model) -> dict[str, Any]:
    """A figure as ``Bokeh.embed.embed_item`` takes it, with names that do not depend on what was drawn before.

    Args:
        figure: A figure or a layout; may be asked for several times.

    Returns:
        Plain values.
    """
    from bokeh.embed import json_item

    text = json.dumps(json_item(figure), allow_nan=False)
    # Bokeh numbers its models through the process: p1001, p1002, …
    numbers = itertools.count(1)
    names: dict[str, str] = {}
    text = re.sub(r'"p\d+"', lambda found: names.setdefault(found[0], f'"p{next(numbers)}"'), text)
    item: dict[str, Any] = json.loads(text)
    return item


def bokeh_script() -> str:
    """Bokeh's script, from the installed wheel.

    Raises:
        DependencyError: Bokeh is not installed, or is not whole.
    """
    try:
        folder = importlib.resources.files("bokeh") / "server" / "static" / "js"
        return (folder / "bokeh.min.js").read_text(encoding="utf-8")
    except (ImportError, OSError) as error:
        raise DependencyError("bokeh", "is not installed, or not whole", "pip install 'bokeh>=3.9,<4'") from error


def asset(name: str) -> str:
    """A text file of ``multimodal/assets``."""
    return (importlib.resources.files("multimodal") / "assets" / name).read_text(encoding="utf-8")


def color_variables() -> str:
    """The palette as CSS: ``--<label>``, ``--on-<label>`` for letters on it, ``--<modality>``, and the signs' rules."""
    lines = [f"--{label}:{color};--on-{label}:{ink_on(color)};" for label, color in COLORS.items()]
    lines += [f"--{modality}:{color};" for modality, color in MODALITY_COLORS.items()]
    rules = [f".sign.{label}{{background:var(--{label});color:var(--on-{label})}}" for label in COLORS]
    return "\n".join([f":root{{{''.join(lines)}}}", *rules])


def badge(label: str, note: str = "") -> str:
    """An emotion as it is named everywhere: its sign on its color, its name, perhaps a number behind it.

    Args:
        label: An emotion or ``uncertain``.
        note: Plain text.

    Example:
        >>> badge("anger", "83 %")
        '<span class="badge"><i class="sign anger" aria-hidden="true">◆</i>anger <b>83 %</b></span>'
    """
    behind = f" <b>{escape(note)}</b>" if note else ""
    return f'<span class="badge">{sign(label)}{escape(label)}{behind}</span>'


def sign(label: str) -> str:
    """An emotion's sign on its color, for where its name stands beside it anyway."""
    return f'<i class="sign {escape(label)}" aria-hidden="true">{escape(SIGNS.get(label, "·"))}</i>'


def _checked(source: str) -> str:
    if NO_SCRIPT_END.search(source):
        raise ValueError("a script holds what would end it: </script or <!--")
    return source

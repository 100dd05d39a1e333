"""The shell that every page shares: one file, no network, a strict content security policy, everything escaped.

Markup is in the templates of ``multimodal/assets``; the modules compute what the templates show.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from multimodal.errors import DependencyError
from multimodal.files import atomic_write
from multimodal.formatting import clock_time, duration_text, percent, probability_percent, signed
from multimodal.palette import COLORS, MODALITY_COLORS, SIGNS, USABILITY_COLORS, USABILITY_SIGNS, ink_on

if TYPE_CHECKING:
    from bokeh.model import Model

POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
    "media-src 'self' file: blob:; base-uri 'none'; form-action 'none'"
)
"""Only our own scripts, known by their hashes; nothing from anywhere but the recording next to the page.

Inline styles are allowed because Bokeh creates its own.
"""

SCRIPT_END = re.compile(r"</script|<!--", re.IGNORECASE)
"""What ends a script, or changes how its end is found, anywhere in it."""


def render(
    template: str | Template,
    title: str,
    values: Mapping[str, Any] | None = None,
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    data: Mapping[str, Any] | None = None,
    figures: Mapping[str, Model] | None = None,
) -> str:
    """Renders a page.

    Args:
        template: Name in ``multimodal/assets``, or a template of ``environment()``; extends ``page.html.jinja``.
        title: Plain text.
        values: Variables of the template; plain text is escaped.
        styles: Stylesheets after the common one.
        scripts: Scripts after the common one, which gives them ``page`` (see ``assets/page.js``).
        data: ``page.data`` of the scripts; plain values.
        figures: Bokeh models by the id of the element that the macro ``chart_place`` makes. Only pages with figures
            contain Bokeh's script.

    Returns:
        The page; equal arguments give equal pages.

    Raises:
        ValueError: A script contains ``</script`` or ``<!--``.

    Example:
        >>> print(render("page.html.jinja", "A <b>", scripts=["page.data;"])[:53])
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset
    """
    sources = [*([bokeh_script()] if figures else []), asset("page.js"), *scripts]
    sources = [_checked(source.replace("\r\n", "\n")) for source in sources]
    items = {name: figure_item(figure) for name, figure in (figures or {}).items()}
    style = "\n".join([color_variables(), asset("page.css"), *styles]).replace("</", r"<\/")
    text = (
        environment()
        .get_template(template)
        .render(
            **(values or {}),
            title=title,
            policy=policy(sources),
            # The only markup from outside the templates: our own stylesheets and scripts, and JSON without "<".
            style=Markup(style),
            scripts=[Markup(source) for source in sources],
            data=Markup(embedded({**(data or {}), "figures": items})),
        )
    )
    # A file name may contain what no encoding has.
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")


@functools.cache
def environment() -> Environment:
    """Templates of ``multimodal/assets``: every value is escaped, and a variable that is not given is an error."""
    environment = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters |= {"percent": percent, "probability": probability_percent, "signed": signed}
    environment.filters |= {"clock": clock_time, "duration": duration_text}
    environment.globals |= {"signs": {**SIGNS, **USABILITY_SIGNS}}
    return environment


def write_page(path: Path, text: str) -> Path:
    """Writes a page completely or not at all.

    Args:
        path: Of the page.
        text: From ``render``.

    Returns:
        ``path``.

    Raises:
        OutputError: The folder cannot be written, or the disk is full.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def embedded(value: Any) -> str:
    r"""Values as JSON that cannot end the script element around it.

    Args:
        value: Plain values.

    Example:
        >>> embedded({"text": "</script>"})
        '{"text":"\\u003c/script>"}'
    """
    # Unsorted: the order of labels has a meaning. ASCII only, so lone surrogates survive as escapes.
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def policy(scripts: Sequence[str]) -> str:
    """The content security policy of a page with these scripts and no others.

    Args:
        scripts: Content of the scripts.

    Example:
        >>> policy(["1;"]).split("; ")[1]
        "script-src 'sha256-CImjRDTlhukYQ2AnxOi0wzgPhGQ3Mb3rVwJK24dFz1M='"
    """
    digests = [base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() for source in scripts]
    return POLICY.format(scripts=" ".join(f"'sha256-{digest}'" for digest in digests) or "'none'")


def figure_item(figure: Model) -> dict[str, Any]:
    """A figure as ``Bokeh.embed.embed_item`` takes it, with names that do not depend on earlier figures.

    Args:
        figure: A figure or a layout; can be used several times.

    Returns:
        Plain values.
    """
    from bokeh.embed import json_item

    text = json.dumps(json_item(figure), allow_nan=False)
    # Bokeh numbers its models through the process: p1001, p1002, …
    numbers = itertools.count(1)
    names: dict[str, str] = {}
    text = re.sub(r'"p\d+"', lambda match: names.setdefault(match[0], f'"p{next(numbers)}"'), text)
    item: dict[str, Any] = json.loads(text)
    return item


def bokeh_script() -> str:
    """Bokeh's script, from the installed wheel.

    Raises:
        DependencyError: Bokeh is not installed, or is incomplete.
    """
    try:
        folder = importlib.resources.files("bokeh") / "server" / "static" / "js"
        return (folder / "bokeh.min.js").read_text(encoding="utf-8")
    except (ImportError, OSError) as error:
        raise DependencyError("bokeh", "is missing or incomplete", "pip install 'bokeh>=3.9,<4'") from error


def asset(name: str) -> str:
    """A text file of ``multimodal/assets``.

    Args:
        name: File name.

    Returns:
        Its content.
    """
    return (importlib.resources.files("multimodal") / "assets" / name).read_text(encoding="utf-8")


def color_variables() -> str:
    """The palette as CSS: its variables, and the rules of signs, chips and spots.

    An emotion is ``--<label>``, with ``--on-<label>`` for letters on it, a usability label ``--u-<label>`` with
    ``--on-u-<label>``, a modality ``--<modality>``.
    """
    lines = [f"--{label}:{color};--on-{label}:{ink_on(color)};" for label, color in COLORS.items()]
    lines += [f"--u-{label}:{color};--on-u-{label}:{ink_on(color)};" for label, color in USABILITY_COLORS.items()]
    lines += [f"--{modality}:{color};" for modality, color in MODALITY_COLORS.items()]
    rules = [f".sign.{label}{{background:var(--{label});color:var(--on-{label})}}" for label in COLORS]
    rules += [
        f".sign.{label},.chip.loud.{label}{{background:var(--u-{label});color:var(--on-u-{label})}}"
        for label in USABILITY_SIGNS
    ]
    rules += [f".spot.{label}{{background:var(--u-{label})}}" for label in USABILITY_COLORS]
    return "\n".join([f":root{{{''.join(lines)}}}", *rules])


def _checked(source: str) -> str:
    if SCRIPT_END.search(source):
        raise ValueError("a script contains what ends it: </script or <!--")
    return source

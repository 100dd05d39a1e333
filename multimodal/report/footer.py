"""What every page says in the same words: what it shows, what it must not be used for, and what made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from multimodal import __version__
from multimodal.formatting import SOURCES
from multimodal.report.html import escape

PARTS = {
    "face": "Face",
    "audio": "Voice",
    "text": "Words",
    "fusion": "All together",
    "speech_to_text": "Speech to text",
}
"""Parts of a model, as people read them."""

DIGITS = 12
"""Of a hash; they tell any two files apart."""

PROGRAM = ("Program", f"multimodal-emotion {__version__}", "")
"""The last row of what made a page."""

CLAIM = """<p class="claim small muted">What onlookers would call the face, the voice and the words, not what anybody
felt. <a href="#use">What it must not be used for</a></p>"""
"""Stands in the head of every page; leads to ``USE``."""

USE = """<section id="use" aria-labelledby="use-title">
<h2 id="use-title">What this is, and what it must not be used for</h2>
<p>Perceived expression: what onlookers would call the face, the voice or the words. It is not what the person felt, and
it is often wrong. Do not base a decision about a person on it.</p>
<p>In the EU, inferring emotions of employees or students is prohibited (AI Act, Article 5(1)(f)), and people must be
told that such a system is used on them (Article 50(3)).</p></section>"""


def foot(reading: str, made: str) -> str:
    """The end of a page.

    Args:
        reading: HTML on how to read it.
        made: HTML on what made it, as from ``made_table``.

    Returns:
        HTML with the notices before both.
    """
    return f"""<footer class="page-foot">
<div class="foot-columns">
{USE}
<section aria-labelledby="reading-title"><h2 id="reading-title">How to read it</h2>
{reading}</section>
<section aria-labelledby="made-title"><h2 id="made-title">How it was made</h2>
{made}</section>
</div>
</footer>"""


def made_table(rows: Sequence[tuple[str, str, str]], counts: Sequence[int | None] = ()) -> str:
    """What made a page, as a table.

    Args:
        rows: Part, name and hash of each; an empty hash is left out.
        counts: Of how many inputs each had a part in; None where that says nothing. Empty for a page of one input.

    Example:
        >>> "<code>aaaaaaaaaaaa</code>" in made_table([("Face", "a <network>", "a" * 64)])
        True
    """
    headings = ["Part", "Name", "SHA-256", *(["Inputs"] if counts else [])]
    head = "".join(f"<th scope='col'>{heading}</th>" for heading in headings)
    lines = []
    for index, (part, name, digest) in enumerate(rows):
        code = f"<code>{escape(digest[:DIGITS])}</code>" if digest else ""
        count = f"<td>{'' if counts[index] is None else counts[index]}</td>" if counts else ""
        lines.append(
            f'<tr><th scope="row">{escape(part)}</th><td dir="auto">{escape(name)}</td><td>{code}</td>{count}</tr>'
        )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def affect_source(source: Mapping[str, str] | None) -> str:
    """Where valence and arousal come from, in a clause.

    Args:
        source: As in an analysis; None where it does not say.

    Example:
        >>> affect_source({"source": "norms", "reference": "Russell and Mehrabian 1977"})
        'on scales from −1 to +1, from what the emotion words mean (Russell and Mehrabian 1977)'
    """
    if source is None:
        return "on scales from −1 to +1"
    reference = f" ({source['reference']})" if "reference" in source else ""
    return f"on scales from −1 to +1, {SOURCES.get(source['source'], source['source'])}{reference}"


def about_affect(source: Mapping[str, str] | None) -> str:
    """The same as a sentence, escaped."""
    if source is None:
        return "There is neither valence nor arousal in this analysis."
    return f"Valence (unpleasant to pleasant) and arousal (calm to excited) are {escape(affect_source(source))}."

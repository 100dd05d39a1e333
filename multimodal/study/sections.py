"""The parts of a study's page as HTML; what its scripts fill is empty here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from multimodal.analysis.bootstrap import RESAMPLES
from multimodal.formatting import clock_time, percent
from multimodal.report.footer import CLAIM, PARTS, PROGRAM, about_affect, foot, made_table
from multimodal.report.html import badge, escape
from multimodal.study.outliers import FAR, FEWEST, FEWEST_UTTERANCES
from multimodal.study.recordings import BINS, InputView
from multimodal.study.tables import SHARES, StudyTables, hours

MEANINGS = {"task": "Task", "question": "Question", "participant": "Participant"}

TABLES = {
    "results.csv": "a row per input, for spreadsheets",
    "results.parquet": "the same, as it is, for programs",
    "utterances.parquet": "a row per utterance of all inputs",
    "summary.csv": "means with intervals by task, question and participant",
}
"""What a batch writes for a study, and what it is."""

OPEN_FAILURES = 5
"""Up to so many failures are listed without being asked for."""


def body(study: StudyTables, views: Sequence[InputView]) -> str:
    """The whole page below its head.

    Args:
        study: Read from a batch's tables.
        views: Of each input, in the same order.

    Returns:
        HTML in which every text is escaped.
    """
    return f"""<a class="skip" href="#main">Skip to the results</a>
{_head(study)}
<main id="main" tabindex="-1">
<noscript><p class="note">This page needs its own scripts, which this browser does not run; the same numbers stand in
the tables beside it.</p></noscript>
{_filters(study)}
{_numbers(study)}
{_failures(study, views)}
{_emotions(study)}
{_watching()}
{_time(study)}
{_distributions(study)}
{_table()}
{_downloads(study)}
</main>
{_foot(views)}"""


def _head(study: StudyTables) -> str:
    return f"""<header class="page-head">
<p class="eyebrow">Perceived expression: a study</p>
<h1 dir="auto">{escape(study.name)}</h1>
<p class="lead">{_lead(study)}</p>
{CLAIM}
</header>"""


def _lead(study: StudyTables) -> str:
    """What was shown most in the whole study, and what came next, in a sentence."""
    values = study.summary[0]["values"]
    shares = sorted(((label, *values[label]) for label in SHARES if values[label][0]), key=lambda share: -share[1])
    if not shares:
        return "No input showed anything that could be judged."
    first, *rest = [_statements(*share) for share in shares]
    second = f", then {rest[0]}" if rest else ""
    of_whom = "participants" if "participant" in study.groupings else "inputs"
    return f"Share of the judged time in the whole study: {first}{second}, as means over {of_whom}."


def _statements(label: str, mean: float, low: float | None, high: float | None) -> str:
    between = "" if low is None or high is None else f" (95% interval {percent(low)} to {percent(high)})"
    return f"{badge(label)} {escape(percent(mean) + between)}"


def _filters(study: StudyTables) -> str:
    choices = [_choice(name, MEANINGS[name]) for name in study.groupings]
    choices += [_choice("shows", "Shows"), _choice("status", "Status")]
    return f"""<section class="filters card screen-only" aria-labelledby="filters-title">
<h2 id="filters-title" class="visually-hidden">Filter</h2>
<div class="choices">
<label class="search">Search <input type="search" id="search" autocomplete="off" spellcheck="false"
 aria-describedby="searched"></label>
{"".join(choices)}
<button type="button" id="clear">Clear filters</button>
</div>
<p class="state"><span id="state" role="status"></span> <span id="searched" class="muted small"></span></p>
</section>"""


def _choice(name: str, label: str) -> str:
    return f'<label>{label} <select id="filter-{name}" data-filter="{name}"></select></label>\n'


def _numbers(study: StudyTables) -> str:
    """The first numbers of the whole study; the scripts keep them in step with the filters."""
    done = [row for row in study.rows if row["status"] == "done"]
    numbers = {"inputs": ("inputs", len(study.rows)), "done": ("done", len(done))}
    numbers["failed"] = ("failed", len(study.rows) - len(done))
    if "participant" in study.groupings:
        numbers["participants"] = ("participants", study.summary[0]["participants"])
    tiles = [_tile(name, label, str(value)) for name, (label, value) in numbers.items()]
    tiles.append(_tile("recorded", "recorded", clock_time(3600 * hours(done))))
    tiles.append(_tile("nothing", "with nothing to judge", str(sum(row[SHARES[0]] is None for row in done))))
    return f'<section aria-label="Numbers"><dl class="tiles">{"".join(tiles)}</dl></section>'


def _tile(name: str, label: str, value: str) -> str:
    return f'<div class="tile"><dt>{label}</dt><dd data-number="{name}">{escape(value)}</dd></div>'


def _failures(study: StudyTables, views: Sequence[InputView]) -> str:
    """Why inputs failed, each with its reason, and which results cannot be read any more."""
    lines = [
        (index, view.problem or row["error"] or "gave no reason")
        for index, (row, view) in enumerate(zip(study.rows, views, strict=True))
        if view.problem or row["status"] != "done"
    ]
    if not lines:
        return ""
    items = "".join(f'<li data-input="{index}" dir="auto">{escape(line)}</li>' for index, line in lines)
    opened = " open" if len(lines) <= OPEN_FAILURES else ""
    return f"""<details class="note failures" id="failures"{opened}>
<summary><span id="failure-count">{len(lines)}</span> without a result or a page, and why</summary>
<ul tabindex="0" aria-label="Inputs without a result or a page">{items}</ul>
</details>"""


def _emotions(study: StudyTables) -> str:
    if "participant" in study.groupings:
        unit = "Each participant counts once, by the mean of their inputs"
    else:
        unit = "The manifest names no participants, so each input counts as a participant of its own"
    return f"""<section class="card" aria-labelledby="emotions-title">
<h2 id="emotions-title">Emotions shown</h2>
<div class="scroll" id="emotions" role="group" aria-label="Means and intervals" tabindex="0"></div>
<p class="small muted explained">Share of the judged time with each answer, and mean valence and arousal (−1 to 1).
{unit}. Thin lines and the numbers below them are 95% intervals by a bootstrap over participants ({RESAMPLES:,} draws):
how far the mean might move with other participants, not how often an answer is right. Fewer than two participants have
none; of fewer than ten it is too narrow. <span id="anew"></span></p>
</section>"""


def _watching() -> str:
    return f"""<section aria-labelledby="watching-title">
<h2 id="watching-title">Worth watching</h2>
<div class="watching">
<div class="card"><h3>Stands apart</h3><div id="outliers"></div>
<p class="small muted explained">Inputs that lie {FAR} robust deviations or more from the median of the study, of their
task or of their question ({FEWEST} inputs or more), whatever is filtered; shares of fewer than {FEWEST_UTTERANCES}
utterances are not compared. Look before you leave one out: it may be the one that matters.</p></div>
<div class="card"><h3>Signals disagree</h3><div id="disagreement"></div></div>
<div class="card"><h3>Sudden changes</h3><div id="change"></div></div>
<div class="card"><h3>Peaks</h3><div id="peak"></div></div>
</div>
</section>"""


def _time(study: StudyTables) -> str:
    who = "Participants" if "participant" in study.groupings else "Inputs"
    return f"""<section class="card" aria-labelledby="time-title">
<div class="title-row"><h2 id="time-title">{who} over time</h2>
<div class="controls screen-only">
<fieldset class="switch"><legend>Time</legend>
<label><input type="radio" name="time" value="relative" checked> relative</label>
<label><input type="radio" name="time" value="absolute"> absolute</label></fieldset>
<label>Order <select id="order"></select></label>
</div></div>
<ul class="legend plain" id="legend" aria-label="Legend"></ul>
<div class="strips" id="strips" role="group" aria-label="Lines, one per input" tabindex="0"></div>
<p id="strips-more" class="more screen-only"></p>
<p class="small muted explained">A line per input, from its beginning to its end (relative) or on one clock (absolute),
in {BINS} steps; each has the answer that lasts longest in it. Hatched: nothing was judged. Typed answers have no times:
a step per line.</p>
</section>"""


def _distributions(study: StudyTables) -> str:
    of_whom = "participants" if "participant" in study.groupings else "inputs"
    return f"""<section class="card" aria-labelledby="spread-title">
<h2 id="spread-title">Spread over inputs</h2>
<div class="spread" id="spread"></div>
<p class="small muted explained">Bars: how many inputs. Line: median of the inputs. Dot and whiskers: mean over
{of_whom} with its 95% interval.</p>
</section>"""


def _table() -> str:
    return """<section class="card" aria-labelledby="inputs-title">
<div class="title-row"><h2 id="inputs-title">All inputs</h2>
<button type="button" id="download" class="screen-only">Download as CSV</button></div>
<div class="scroll inputs" id="inputs" role="group" aria-label="Table of inputs" tabindex="0"></div>
<p id="inputs-more" class="more screen-only"></p>
</section>"""


def _downloads(study: StudyTables) -> str:
    there = [(name, meaning) for name, meaning in TABLES.items() if (study.out / name).is_file()]
    items = (f'<li><a href="{name}" download>{name}</a> <span class="muted">{said}</span></li>' for name, said in there)
    return f"""<section class="card" aria-labelledby="tables-title">
<h2 id="tables-title">Tables</h2>
<ul class="plain tables">{"".join(items)}</ul>
</section>"""


def _foot(views: Sequence[InputView]) -> str:
    """The notices, how to read the page, and which models judged how many inputs."""
    sources = dict.fromkeys(view.affect for view in views if view.affect)
    reading = f"""<p>Each input has a page of its own, with its recording, its timeline and what was said. Its answers,
one per utterance and stretch where nobody speaks, make up its shares; below the network's threshold an answer is
<b>uncertain</b>. Look at the recordings before you believe a number: what differs between tasks may be the light or
the microphone.</p>
<p>{" ".join(sources) or about_affect(None)}</p>"""
    found: Counter[tuple[str, str, str]] = Counter()
    for view in views:
        found.update((PARTS.get(part, part), *facts) for part, facts in view.models.items())
    order = [*PARTS.values()]
    rows = sorted(found, key=lambda row: (order.index(row[0]) if row[0] in order else len(order), row))
    return foot(reading, made_table([*rows, PROGRAM], [*(found[row] for row in rows), None]))

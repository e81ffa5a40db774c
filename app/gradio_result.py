"""A prediction as the HTML that the Gradio page shows."""

from __future__ import annotations

import io
from html import escape

from PIL import Image

from app import wording
from app.heatmap import jpeg_uri, png_bytes, preview
from app.predictor import Prediction, RankedCondition
from model.errors import ImageError
from model.labels import Condition
from model.rejection import Verdict

FIRST = 5
"""How many conditions are in sight; the rest unfolds."""

# Each on a 24 x 24 grid, drawn with a line: tick, question mark, ring, crossed frame.
_ICONS: dict[Verdict, str] = {
    "condition": "M5 12.5l4.5 4.5L19 7.5",
    "uncertain": "M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1.2-1.5 2.3M12 18.2v.1",
    "no_condition": "M12 5a7 7 0 1 1 0 14a7 7 0 1 1 0-14M9 12h6",
    "rejected": "M5 6h14v12H5zM8.5 9.5l7 5M15.5 9.5l-7 5",
}


def result_html(prediction: Prediction, data: bytes) -> str:
    """The whole result: picture, verdict, ranking, heat map, what to do.

    Args:
        prediction: the answer, with its heat map.
        data: the encoded picture; it travels inside the page, so that no copy need stay on the server.
    """
    photo = preview(data)
    if prediction.verdict == "rejected":
        answer = [_advice(prediction), _guesses(prediction)]
    else:
        answer = [
            _ranking(prediction.conditions),
            _heat(photo, prediction.heatmap),
            _advice(prediction),
        ]
    parts = [
        f'<figure class="sdn-photo"><img src="{photo}" alt="Your photo"></figure>',
        _verdict(prediction),
        *answer,
        f'<p class="sdn-time">{escape(wording.time_taken(prediction))}</p>',
    ]
    return f'<article class="sdn-result" data-verdict="{prediction.verdict}">{"".join(parts)}</article>'


def error_html(error: ImageError) -> str:
    """A picture that could not be read: what is wrong, and what to do."""
    return (
        '<article class="sdn-result sdn-error" data-verdict="error"><section class="sdn-verdict">'
        f"{_tag('rejected', 'Not a picture we can read')}"
        f'<h2 class="sdn-headline" tabindex="-1">{escape(error.message)}</h2><p>{escape(error.hint)}</p>'
        "</section></article>"
    )


def _tag(verdict: Verdict, words: str) -> str:
    icon = f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{_ICONS[verdict]}"/></svg>'
    return f'<p class="sdn-tag">{icon}{escape(words)}</p>'


def _verdict(prediction: Prediction) -> str:
    criteria = "".join(
        f'<li class="{"sdn-fired" if criterion.fired else ""}">'
        f"{escape(wording.criterion_sentence(criterion))}"
        f"{' <strong>Not met.</strong>' if criterion.fired else ' Met.'}</li>"
        for criterion in prediction.criteria
    )
    opened = " open" if prediction.verdict == "rejected" else ""
    return (
        '<section class="sdn-verdict">'
        f"{_tag(prediction.verdict, wording.VERDICT_TAGS[prediction.verdict])}"
        f'<h2 class="sdn-headline" tabindex="-1">{escape(wording.headline(prediction))}</h2>'
        f"<p>{escape(prediction.reason)}</p>"
        f"<details{opened}><summary>How this was decided</summary><ul>{criteria}</ul></details></section>"
    )


def _rows(conditions: tuple[RankedCondition, ...]) -> str:
    return "".join(
        f'<li><span class="sdn-name">{escape(ranked.title)}</span>'
        f'<span class="sdn-share">{escape(wording.percent(ranked.probability))}</span>'
        f'<span class="sdn-bar" style="--share:{ranked.probability:.4f}"></span></li>'
        for ranked in conditions
    )


def _ranking(conditions: tuple[RankedCondition, ...]) -> str:
    rest = conditions[FIRST:]
    more = (
        f'<details><summary>{len(rest)} more</summary><ol start="{FIRST + 1}">{_rows(rest)}</ol></details>'
        if rest
        else ""
    )
    return (
        '<section class="sdn-ranking"><h3>What it could be</h3>'
        f"<ol>{_rows(conditions[:FIRST])}</ol>{more}</section>"
    )


def _guesses(prediction: Prediction) -> str:
    return (
        '<section class="sdn-ranking"><details><summary>Show the guesses all the same</summary>'
        f"<p>{escape(wording.GUESSES_NOTE)}</p><ol>{_rows(prediction.conditions[:FIRST])}</ol>"
        "</details></section>"
    )


def _heat(photo: str, heatmap: str | None) -> str:
    if heatmap is None:
        return ""
    # What JPEG saves counts on a phone.
    with Image.open(io.BytesIO(png_bytes(heatmap))) as overlaid:
        heat = jpeg_uri(overlaid)
    return (
        '<section class="sdn-heat"><h3>Where the model looked</h3>'
        f'<figure><img src="{photo}" alt=""><img class="sdn-layer" src="{heat}" '
        'alt="Your photo with the heat map over it"></figure>'
        '<div class="sdn-controls"><label><input type="checkbox" checked> Heat map</label>'
        '<label class="sdn-strength">Strength <input type="range" min="0" max="100" value="80"></label></div>'
        f"<p>{escape(wording.HEATMAP_NOTE)}</p></section>"
    )


def _advice(prediction: Prediction) -> str:
    advice = wording.advice(prediction)
    about = _about(advice.about) if advice.about else ""
    return (
        '<section class="sdn-advice"><h3>What to do</h3>'
        f'<p class="sdn-soon" data-urgency="{escape(advice.urgency)}">{escape(advice.how_soon)}</p>'
        f"<p>{escape(advice.text)}</p>{about}</section>"
    )


def _about(about: Condition) -> str:
    lookalikes = "".join(
        f"<dt>{escape(entry.title)}</dt><dd>{escape(entry.how_to_tell)}</dd>" for entry in about.confused_with
    )
    sources = "".join(
        f'<li><a href="{escape(source.url)}" target="_blank" rel="noopener noreferrer">{escape(source.title)}'
        "</a></li>"
        for source in about.sources
    )
    return (
        f"<h3>About: {escape(about.title)}</h3><p>{escape(about.summary)}</p>"
        f"<details><summary>Read more</summary><p>{escape(about.what_it_is)}</p>"
        f"<h4>What it looks like</h4><p>{escape(about.looks_like)}</p>"
        + (f"<h4>Often confused with</h4><dl>{lookalikes}</dl>" if lookalikes else "")
        + (f"<h4>Sources</h4><ul>{sources}</ul>" if sources else "")
        + "</details>"
    )

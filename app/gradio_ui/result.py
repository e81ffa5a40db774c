"""A prediction as the HTML that the Gradio page shows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from app.gradio_ui.pages import condition_html, how_soon_html, learn_address, notice_html
from app.heatmap import jpeg_uri, png_bytes, preview
from app.pages import wording
from app.prediction import Prediction, RankedCondition
from model.decision.rejection import Verdict
from model.errors import SkinDiseaseNetError

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
    """The whole result: picture, notice, verdict, quality, ranking, heat map, set, what to do.

    Args:
        prediction: the answer, with its heat map.
        data: the encoded picture; it travels inside the page, so that no copy need stay on the server.
    """
    photo = preview(data)
    rejected = prediction.verdict == "rejected"
    figure = f'<figure class="sdn-photo"><img src="{photo}" alt="Your picture"></figure>'
    said = _verdict(prediction) + _quality(prediction)
    parts = [
        f"<div>{figure}{notice_html()}</div>",
        f"<div>{said}{_guesses(prediction) if rejected else _ranking(prediction.conditions)}</div>",
        ""
        if rejected
        else f"{_heat(photo, prediction.heatmap)}<div>{_set(prediction)}{_advice(prediction)}</div>",
        f'<p class="sdn-time">{escape(wording.time_taken(prediction))}</p>',
    ]
    return f'<article class="sdn-result" data-verdict="{prediction.verdict}">{"".join(parts)}</article>'


def error_html(error: SkinDiseaseNetError) -> str:
    """A picture that could not be looked at: what is wrong, and what to do."""
    return (
        '<article class="sdn-result sdn-error" data-verdict="error"><section class="sdn-verdict">'
        f"{tag_html('rejected', 'No answer')}"
        f'<h2 class="sdn-headline" tabindex="-1">{escape(error.message)}</h2><p>{escape(error.hint)}</p>'
        "</section></article>"
    )


def tag_html(verdict: Verdict, words: str) -> str:
    """One or two words with a sign, in the verdict's colour."""
    icon = f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{_ICONS[verdict]}"/></svg>'
    return f'<p class="sdn-tag">{icon}{escape(words)}</p>'


def _verdict(prediction: Prediction) -> str:
    advice = wording.advice(prediction)
    soon = how_soon_html(advice.urgency, advice.how_soon)
    reason = f"<p>{escape(prediction.reason)}</p>"
    text = f"<p>{escape(advice.text)}</p>"
    if prediction.verdict == "rejected":
        body = f"{reason}{soon}{text}{_criteria(prediction)}"
    elif _see_doctor(prediction):
        body = f'<div class="sdn-doctor" data-urgency="{advice.urgency}">{soon}{text}</div>{reason}'
    else:
        body = reason + soon
    return (
        '<section class="sdn-verdict">'
        f"{tag_html(prediction.verdict, wording.VERDICT_TAGS[prediction.verdict])}"
        f'<h2 class="sdn-headline" tabindex="-1">{escape(wording.headline(prediction))}</h2>{body}</section>'
    )


def _see_doctor(prediction: Prediction) -> bool:
    return prediction.verdict != "rejected" and wording.advice(prediction).urgency in ("soon", "urgent")


def _criteria(prediction: Prediction) -> str:
    items = "".join(
        f'<li class="{"sdn-fired" if criterion.fired else "sdn-passed"}">'
        f"<strong>{'Not met' if criterion.fired else 'Met'}</strong> "
        f"{escape(wording.criterion_sentence(criterion))}</li>"
        for criterion in prediction.criteria
    )
    return f'<ul class="sdn-criteria">{items}</ul>'


def _quality(prediction: Prediction) -> str:
    warnings = "".join(
        f"<li>{escape(wording.quality_sentence(warning))}</li>" for warning in prediction.quality
    )
    if not warnings:
        return ""
    return (
        f'<section class="sdn-quality"><h3>{escape(wording.QUALITY_TITLE)}</h3><ul>{warnings}</ul></section>'
    )


def _rows(conditions: Sequence[RankedCondition]) -> str:
    return "".join(
        f'<li><span class="sdn-name">{escape(ranked.title)}</span> '
        f'<span class="sdn-share">{escape(wording.percent(ranked.probability))}</span>'
        f'<span class="sdn-bar" style="--share:{ranked.probability:.4f}"></span></li>'
        for ranked in conditions
    )


def _ranking(conditions: Sequence[RankedCondition]) -> str:
    rest = conditions[FIRST:]
    more = (
        f"<details><summary>The other {len(rest)}</summary>"
        f'<ol start="{FIRST + 1}">{_rows(rest)}</ol></details>'
        if rest
        else ""
    )
    return (
        '<section class="sdn-ranking"><h3>How the picture compares</h3>'
        f"<ol>{_rows(conditions[:FIRST])}</ol>{more}</section>"
    )


def _guesses(prediction: Prediction) -> str:
    return (
        '<section class="sdn-ranking"><details><summary>The guesses all the same</summary>'
        f"<p>{escape(wording.GUESSES_NOTE)}</p><ol>{_rows(prediction.conditions)}</ol>"
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
        f'<figure><img src="{photo}" alt="Your picture"><img class="sdn-layer" src="{heat}" '
        'alt="The same picture with the areas coloured that counted most"></figure>'
        '<div class="sdn-controls"><label><input type="checkbox" role="switch" checked> Heat map</label>'
        '<label class="sdn-strength">Strength '
        '<input type="range" min="0" max="100" value="100"></label></div>'
        f"<p>{escape(wording.HEATMAP_NOTE)}</p></section>"
    )


def _set(prediction: Prediction) -> str:
    sentence = wording.set_sentence(prediction)
    if sentence is None:
        return ""
    return f'<section class="sdn-set"><h3>{escape(wording.SET_TITLE)}</h3><p>{escape(sentence)}</p></section>'


def _advice(prediction: Prediction) -> str:
    advice = wording.advice(prediction)
    if advice.about is None:
        return ""
    about, labels = advice.about, [ranked.name for ranked in prediction.conditions]
    title = escape(about.title)
    head = (
        f"<h3>About {title}</h3>"
        if _see_doctor(prediction)
        else f"<h3>What to do</h3><p>{escape(advice.text)}</p><h4>About {title}</h4>"
    )
    return (
        f'<section class="sdn-advice">{head}<p>{escape(about.summary)}</p>'
        f"<details><summary>Read more</summary>{condition_html(about, labels, level=4)}</details>"
        f"<details><summary>How the picture was checked</summary>{_criteria(prediction)}</details>"
        f'<p class="sdn-small"><a href="{learn_address(about.name)}" target="_blank" rel="noopener">'
        f"{title} on the Learn page</a></p></section>"
    )

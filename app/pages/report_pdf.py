"""An answer as a PDF of one page."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table
from reportlab.platypus import Image as Picture

from app.pages import language, wording
from app.pages.language import condition
from app.pages.language import gettext as _
from app.prediction import Prediction, RankedCondition
from model.image import read_image

_FONTS = Path(__file__).parent / "fonts"
_REGULAR, _BOLD = "NotoSansDevanagari-Regular", "NotoSansDevanagari-Bold"
_INK, _SOFT, _ACCENT, _WARM = map(HexColor, ("#1c2423", "#56615e", "#0b6b62", "#8a3a10"))
_SIDE = 900
"""The longer side of a picture in the report, pixels."""
_ROOM = (84 * mm, 56 * mm)
"""The largest size of a picture on paper, points."""


def report_pdf(
    prediction: Prediction,
    *,
    when: datetime,
    picture: bytes | None = None,
    heatmap: bytes | None = None,
    photos: int = 1,
) -> bytes:
    """Write an answer as a PDF: verdict, advice, pictures, probabilities, date, model and the notice.

    Latin and Devanagari are shaped by HarfBuzz and set in Noto Sans, whose used glyphs are embedded.

    Args:
        prediction: the answer.
        when: it was given, with a time zone.
        picture: the photo, encoded; None to leave it out.
        heatmap: the same picture with the evidence laid over it, encoded; None to leave it out.
        photos: how many the answer is of.

    Returns:
        The bytes of a PDF file.

    Raises:
        ImageError: a picture cannot be read.
    """
    _register_fonts()
    title = wording.report_title(photos)
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=15 * mm,
        bottomMargin=13 * mm,
        title=f"{title}: {wording.headline(prediction)}",
        author="SkinDiseaseNet",
        lang=language.current(),
    )
    told = wording.advice(prediction)
    parts: list[Flowable] = [
        _text(title, size=9, colour=_SOFT),
        _text(wording.headline(prediction), size=17, bold=True),
        _text(told.how_soon, bold=True, colour=_WARM if told.urgency in ("soon", "urgent") else _INK),
    ]
    parts += [_text(words) for words in _sentences(prediction)]
    parts += [Spacer(0, 2 * mm), *_pictures(picture, heatmap)]
    if prediction.verdict != "rejected":
        parts.append(_text(_(wording.REPORT_CONDITIONS), size=11, bold=True))
    else:
        parts.append(_text(_(wording.GUESSES_NOTE), bold=True))
    parts += [_probabilities(prediction.conditions), Spacer(0, 3 * mm)]
    parts.append(
        _text(wording.report_origin(prediction, when.astimezone(timezone.utc)), colour=_SOFT, size=8.5)
    )
    parts.append(_text(_(wording.NOTICE), bold=True))
    if language.current() != language.ENGLISH:
        parts.append(_text(_(wording.UNREVIEWED), colour=_SOFT, size=8.5))
    document.build(parts)
    return buffer.getvalue()


def posted_report(
    combine: Callable[[Sequence[Prediction]], Prediction],
    *,
    prediction: str,
    when: str,
    photos: str,
    picture: bytes | None,
    heatmap: bytes | None,
) -> bytes:
    """As ``report_pdf``, for an answer that a page has shown and sends back, since the server keeps nothing.

    Only its numbers count: the verdict and all words are derived from them anew.

    Args:
        combine: ``Predictor.combine``.
        prediction: from ``Prediction.dumps``.
        when: in ISO 8601; anything else is read as now.
        photos: a number; anything else is read as 1.
        picture, heatmap: as for ``report_pdf``.

    Raises:
        ConfigError: there is no prediction, or one of another checkpoint.
        ImageError: a picture cannot be read.
    """
    try:
        given = datetime.fromisoformat(when)
    except ValueError:
        given = datetime.now(timezone.utc)
    answer = combine([Prediction.loads(prediction)])
    count = int(photos) if photos.isascii() and photos.isdecimal() and len(photos) < 3 else 1
    return report_pdf(answer, when=given, photos=count, picture=picture, heatmap=heatmap)


def _sentences(prediction: Prediction) -> list[str]:
    told = wording.advice(prediction)
    found = [told.caution, prediction.reason, told.text, wording.set_sentence(prediction)]
    found.append(prediction.modality.message if prediction.modality else None)
    found += [wording.quality_short(prediction.quality)]
    return [words for words in found if words]


@cache
def _register_fonts() -> None:
    for name in (_REGULAR, _BOLD):
        pdfmetrics.registerFont(TTFont(name, str(_FONTS / f"{name}.ttf"), shapable=True))


def _text(words: str, *, size: float = 9.5, bold: bool = False, colour: HexColor = _INK) -> Paragraph:
    style = ParagraphStyle(
        "text",
        fontName=_BOLD if bold else _REGULAR,
        fontSize=size,
        leading=size * 1.4,
        textColor=colour,
        spaceAfter=1.6 * mm,
        shaping=1,
    )
    return Paragraph(escape(words), style)


def _pictures(picture: bytes | None, heatmap: bytes | None) -> list[Flowable]:
    given = {_(wording.REPORT_PICTURE): picture, _(wording.REPORT_HEATMAP): heatmap}
    cells = [[_picture(data), _text(words, size=8, colour=_SOFT)] for words, data in given.items() if data]
    if not cells:
        return []
    table = Table([cells], colWidths=[_ROOM[0] + 3 * mm] * len(cells), hAlign="LEFT")
    table.setStyle([("LEFTPADDING", (0, 0), (-1, -1), 0), ("VALIGN", (0, 0), (-1, -1), "TOP")])
    return [table]


def _picture(data: bytes) -> Picture:
    small = read_image(data, target_side=_SIDE)
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    buffer.seek(0)
    scale = min(_ROOM[0] / small.width, _ROOM[1] / small.height)
    return Picture(buffer, small.width * scale, small.height * scale, hAlign="LEFT")


def _probabilities(conditions: Sequence[RankedCondition]) -> Table:
    """All conditions in two columns, the most probable first."""
    half = (len(conditions) + 1) // 2
    columns = [list(conditions[:half]), list(conditions[half:])]
    rows: list[list[Flowable | str]] = []
    for number in range(half):
        row: list[Flowable | str] = []
        for column in columns:
            ranked = column[number] if number < len(column) else None
            first = number == 0 and column is columns[0]
            row += (
                [
                    _line(wording.percent(ranked.probability), first),
                    _line(condition(ranked.name).title, first),
                ]
                if ranked
                else ["", ""]
            )
        rows.append(row)
    table = Table(rows, colWidths=[25 * mm, 62 * mm] * 2, hAlign="LEFT")
    table.setStyle(
        [
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 0),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
    )
    return table


def _line(words: str, first: bool) -> Paragraph:
    return _text(words, size=9, bold=first, colour=_ACCENT if first else _INK)

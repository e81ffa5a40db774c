"""What link previews and search engines read of the Gradio pages: the product's own words, not Gradio's."""

from __future__ import annotations

import re

from gradio.routes import templates
from jinja2 import BaseLoader, Environment
from markupsafe import escape

from app.pages import wording

_FOREIGN = re.compile(r'<meta\s+(?:property="og:|name="twitter:|name="description")[^>]*>')
_OWN = (
    ("name", "description", wording.DESCRIPTION),
    ("property", "og:site_name", "SkinDiseaseNet"),
    ("property", "og:type", "website"),
    ("property", "og:title", "SkinDiseaseNet"),
    ("property", "og:description", wording.DESCRIPTION),
)


class _Own(BaseLoader):
    """Gradio's templates, with the product's description in place of Gradio's."""

    def __init__(self, gradio: BaseLoader) -> None:
        self._gradio = gradio

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, object]:  # type: ignore[override]
        source, *rest = self._gradio.get_source(environment, template)
        own = "".join(f'<meta {kind}="{name}" content="{escape(text)}">' for kind, name, text in _OWN)
        return _FOREIGN.sub("", source).replace("<head>", f"<head>{own}", 1), *rest  # type: ignore[return-value]


def describe_pages() -> None:
    """Make Gradio's pages carry the product's description. Doing so again changes nothing."""
    loader = templates.env.loader
    if loader is not None and not isinstance(loader, _Own):
        templates.env.loader = _Own(loader)

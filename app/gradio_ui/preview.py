"""What link previews and search engines read of the Gradio pages: the product's own words and language."""

from __future__ import annotations

import re

from gradio.routes import templates
from jinja2 import BaseLoader, Environment

from app.pages.render import LANGUAGE

_FOREIGN = re.compile(r'<meta\s+(?:property="og:|name="twitter:|name="description")[^>]*>')
_OWN = """<meta name="description" content="{{ _(wording.DESCRIPTION) }}">
<meta property="og:site_name" content="SkinDiseaseNet">
<meta property="og:type" content="website">
<meta property="og:title" content="SkinDiseaseNet">
<meta property="og:description" content="{{ _(wording.DESCRIPTION) }}">"""

# Twice, since Gradio's script sets the first to the language of its own strings; gradio.js sets it back.
_LANGUAGE = 'lang="{{ language.current() }}" data-language="{{ language.current() }}"'


class _Own(BaseLoader):
    """Gradio's templates, with the product's description, and the language in use."""

    def __init__(self, gradio: BaseLoader) -> None:
        self._gradio = gradio

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, object]:  # type: ignore[override]
        source, *rest = self._gradio.get_source(environment, template)
        own = _FOREIGN.sub("", source).replace("<head>", f"<head>{_OWN}", 1)
        own = own.replace('lang="en"', _LANGUAGE, 1)
        return own, *rest  # type: ignore[return-value]


def describe_pages() -> None:
    """Make Gradio's pages carry the product's description. Doing so again changes nothing."""
    loader = templates.env.loader
    if loader is not None and not isinstance(loader, _Own):
        templates.env.loader = _Own(loader)
        templates.env.globals.update(LANGUAGE)

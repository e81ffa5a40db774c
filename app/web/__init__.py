"""The Flask front end: one page that works with and without JavaScript, and a small HTTP API."""

from __future__ import annotations

import logging

from flask import Flask

from app.predictor import Predictor
from app.settings import Settings
from app.web.api import build_api
from app.web.errors import register_errors
from app.web.headers import add_headers
from app.web.pages import build_pages
from app.web.upload import MAX_BODY, InMemoryRequest

logger = logging.getLogger(__name__)


def create_app(settings: Settings, predictor: Predictor) -> Flask:
    """Builds the WSGI app.

    Args:
        settings: kept as ``app.config["SETTINGS"]``.
        predictor: answers every picture; its description is logged.
    """
    app = Flask(__name__)
    app.request_class = InMemoryRequest
    app.config["SETTINGS"] = settings
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "autoescape": True}
    app.register_blueprint(build_api(predictor))
    app.register_blueprint(build_pages(predictor))
    register_errors(app)
    app.after_request(add_headers)
    # At DEBUG level Pillow logs the value of every EXIF tag.
    logging.getLogger("PIL").setLevel(logging.INFO)
    logger.info(predictor.describe())
    return app

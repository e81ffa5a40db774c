"""The Flask front end: one page that works with and without JavaScript, and a small HTTP API."""

from __future__ import annotations

import logging
from typing import Any, cast

from flask import Flask
from flask.json.provider import DefaultJSONProvider
from werkzeug.middleware.proxy_fix import ProxyFix

from app.examples import load_examples
from app.predictor import Predictor
from app.settings import Settings
from app.web.api import build_api
from app.web.bounded import BoundedPredictor
from app.web.errors import register_errors
from app.web.gate import add_gate
from app.web.headers import add_headers
from app.web.limits import add_limits
from app.web.pages import build_pages
from app.web.trail import add_trail
from app.web.upload import MAX_BODY, InMemoryRequest

logger = logging.getLogger(__name__)


class _StrictJSON(DefaultJSONProvider):
    """Names in their order, and no NaN, which is no JSON."""

    sort_keys = False

    def dumps(self, obj: Any, **options: Any) -> str:
        return super().dumps(obj, allow_nan=False, **options)


def create_app(settings: Settings, predictor: Predictor) -> Flask:
    """Builds the WSGI app.

    Args:
        settings: kept as ``app.config["SETTINGS"]``.
        predictor: answers every picture; its description is logged.

    Raises:
        ConfigError: a file that the settings name cannot be used, or what they ask for needs another setting.
    """
    app = Flask(__name__)
    app.request_class = InMemoryRequest
    app.config["SETTINGS"] = settings
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.json = _StrictJSON(app)
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "autoescape": True}
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.trusted_proxies, x_proto=1)  # type: ignore[method-assign]
    bounded = cast(
        Predictor,
        BoundedPredictor(predictor, running=settings.max_running, waiting=settings.max_waiting),
    )
    # In this order a request meets them; answers pass in the reverse order.
    add_trail(app, settings, predictor)
    app.after_request(add_headers)
    sign_in = add_gate(app, settings)
    for blueprint in (build_api(bounded), build_pages(bounded, load_examples(settings.examples)), sign_in):
        if blueprint is not None:
            app.register_blueprint(blueprint)
    add_limits(app, settings)
    register_errors(app)
    # At DEBUG level Pillow logs the value of every EXIF tag.
    logging.getLogger("PIL").setLevel(logging.INFO)
    logger.info(predictor.describe())
    return app

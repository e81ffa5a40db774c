"""The Flask front end: pages that work with and without JavaScript, and a small HTTP API."""

from __future__ import annotations

import logging
from typing import Any, cast

from flask import Flask, Response, send_from_directory
from flask.json.provider import DefaultJSONProvider

from app.clinic import dicom_opener
from app.pages import render
from app.pages.examples import load_examples
from app.predictor import Predictor
from app.settings import Settings
from app.web.api import Submit, build_api
from app.web.body import Budget, InMemoryRequest, keep_reading
from app.web.bounded import BoundedPredictor
from app.web.errors import register_errors
from app.web.gate import Gate, refuse_cross_site
from app.web.headers import add_headers
from app.web.limits import add_limits
from app.web.openapi import build_document
from app.web.pages import build_pages
from app.web.private import build_private
from app.web.proxy import trust_proxies
from app.web.review import Review, add_review
from app.web.sign_in import build_sign_in
from app.web.speech import add_language
from app.web.trail import add_audit, add_trail
from app.web.upload import MAX_BATCH_BODY, MAX_BODY

logger = logging.getLogger(__name__)


class _StrictJSON(DefaultJSONProvider):
    """JSON that keeps the order of keys and rejects NaN, which is not valid JSON."""

    sort_keys = False

    def dumps(self, obj: Any, **options: Any) -> str:
        return super().dumps(obj, allow_nan=False, **options)


class _App(Flask):
    """Also serves the static files that both front ends share: style sheets and scripts."""

    def send_static_file(self, filename: str) -> Response:
        if (render.SCRIPTS / filename).is_file():
            return send_from_directory(render.SCRIPTS, filename)
        if filename in (*render.STYLES, render.SCRIPT, render.FONT):
            return send_from_directory(render.FOLDER, filename)
        return super().send_static_file(filename)


def create_app(settings: Settings, predictor: Predictor) -> Flask:
    """Create the WSGI app.

    Args:
        settings: kept as ``app.config["SETTINGS"]``.
        predictor: predicts every picture; its description is logged.

    Raises:
        ConfigError: a file named in the settings cannot be used, or a setting needs another one.
    """
    app = _App(__name__)
    app.request_class = InMemoryRequest
    # Enough for all pictures that may run or wait, each of the largest size.
    app.extensions["budget"] = Budget(
        max((settings.max_running + settings.max_waiting) * MAX_BODY, 2 * MAX_BATCH_BODY)
    )
    app.config["SETTINGS"] = settings
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.json = _StrictJSON(app)
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "autoescape": True}
    trust_proxies(app, settings.trusted_proxies)
    bounded = BoundedPredictor(predictor, running=settings.max_running, waiting=settings.max_waiting)
    gate = Gate(app, settings) if settings.access == "keys" else None
    # Requests pass these in this order; responses in the reverse order.
    add_language(app)
    add_trail(app, settings)
    app.after_request(add_headers)
    app.after_request(keep_reading)
    if gate is not None:
        app.before_request(gate.recognise)
    limited = add_limits(app, settings)
    app.before_request(refuse_cross_site)
    if gate is not None:
        app.before_request(gate.require_key)
        app.register_blueprint(build_sign_in(gate, limited))
    review = Review(settings) if settings.review else None
    submit, below = (review.submit, review.consent_form) if review else (None, None)
    document = build_document(review=review is not None)
    if settings.clinic:
        _add_clinic(app, bounded, document, submit)
    else:
        app.register_blueprint(build_api(bounded, submit=submit, document=document))
    shown = cast(Predictor, bounded)
    app.register_blueprint(
        build_pages(shown, load_examples(settings.examples), document, private=settings.private, below=below)
    )
    if settings.private:
        app.register_blueprint(build_private(settings, predictor))
    if review is not None:
        add_review(app, review, shown)
    add_audit(app, settings, predictor)
    register_errors(app)
    # At DEBUG level Pillow logs the value of every EXIF tag.
    logging.getLogger("PIL").setLevel(logging.INFO)
    logger.info(predictor.describe())
    return app


def _add_clinic(
    app: Flask, predictor: BoundedPredictor, document: dict[str, Any], submit: Submit | None
) -> None:
    """Register the API with the formats of clinics."""
    opened = dicom_opener()
    # here, since only the extra `clinic` has their packages
    from app.web.clinic import add_outcomes, answer
    from app.web.dicomweb import build_dicomweb
    from app.web.openapi_clinic import with_clinic

    app.register_blueprint(
        build_api(predictor, opened=opened, answer=answer, submit=submit, document=with_clinic(document))
    )
    app.register_blueprint(build_dicomweb(predictor))
    add_outcomes(app)

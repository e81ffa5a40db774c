"""What is recorded about a request: a log line, an audit line and metrics, but none of its content."""

from __future__ import annotations

import logging
import time
from typing import Any

from flask import Flask, Response, g, request, session

from app.predictor import Predictor
from app.service import logs
from app.service.audit_log import AuditLog
from app.settings import Settings
from app.web import metrics
from model.errors import SkinDiseaseNetError

logger = logging.getLogger(__name__)


def add_trail(app: Flask, settings: Settings) -> None:
    """Log and count every request. Must come first, so that rejected requests are recorded too."""

    def begin() -> None:
        g.request_id = logs.take_request_id(request.headers.get("X-Request-ID"))
        g.started = time.perf_counter()
        if settings.trusted_proxies == 0 and "X-Forwarded-For" in request.headers:
            _warn_once(app)

    def note(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.request_id
        noted = _noted(response)
        endpoint = noted["endpoint"]
        metrics.REQUESTS.labels(endpoint, noted["method"], response.status_code).inc()
        metrics.LATENCY.labels(endpoint).observe(noted["milliseconds"] / 1e3)
        quiet = endpoint in ("static", "api.health", "api.ready", "api.read_metrics")
        logger.log(logging.DEBUG if quiet else logging.INFO, "answered", extra={"fields": noted})
        return response

    def forget(error: BaseException | None) -> None:
        logs.request_id.set(None)

    app.before_request(begin)
    app.after_request(note)
    app.teardown_request(forget)


def add_audit(app: Flask, settings: Settings, predictor: Predictor) -> None:
    """Add a line to the audit log for every post. Must come last: it may replace the response.

    Posts over the rate limit leave none, since a flood of them would fill the disk.

    Raises:
        ConfigError: the audit log cannot be written.
    """
    audit = AuditLog(settings.audit_log)
    usual = {"id": predictor.id, "revision": predictor.revision}

    def write(response: Response) -> Response:
        if request.method != "POST" or response.status_code == 429:
            return response
        written = audit.write(
            **_noted(response),
            request_id=g.request_id,
            verdicts=g.get("verdicts", []),
            checkpoint=g.get("checkpoint", usual),
            **({"signals": g.get("signals", [])} if settings.audit_signals else {}),
        )
        if written or not settings.audit_required:
            return response
        session.modified = False  # no cookie is sent either
        hint = "Correct AUDIT_LOG, or make room on its disk."
        error = SkinDiseaseNetError("An answer was withheld.", hint=hint, code="audit_unwritable")
        return app.make_response(app.handle_user_exception(error))

    app.after_request(write)


def _noted(response: Response) -> dict[str, Any]:
    return {
        "endpoint": request.endpoint or "none",
        "method": _method(),
        "status": response.status_code,
        "milliseconds": round((time.perf_counter() - g.started) * 1e3, 1),
        "key": g.get("key"),
    }


def _method() -> str:
    """Clients may invent methods, so only the known ones are counted separately."""
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return request.method if request.method in known else "other"


def _warn_once(app: Flask) -> None:
    if not app.extensions.setdefault("warned of proxy", False):
        app.extensions["warned of proxy"] = True
        logger.warning(
            "A request came through a proxy, but TRUSTED_PROXIES is 0: all its visitors count as one address."
        )

"""``/private``: the page that computes in the visitor's browser; see ``app.private.site``."""

from __future__ import annotations

import dataclasses
import io
import threading

from flask import Blueprint, Response, abort, send_file, url_for

from app.pages import language, render
from app.pages.language import N_
from app.predictor import Predictor
from app.private.site import PAGE, File, private_site
from app.settings import Settings
from app.web.pages import NAVIGATION
from model.checkpoint import find
from model.errors import ExportError, SkinDiseaseNetError
from model.runtime.small import small_graph

# The system's list of types may say anything of these.
_KINDS = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}


class _Site:
    """The files of the page, made when they are first asked for: few servers' visitors need them."""

    def __init__(self, settings: Settings, predictor: Predictor) -> None:
        self._settings, self._predictor = settings, predictor
        self._files: dict[str, dict[str, File]] = {}
        self._lock = threading.Lock()

    def files(self) -> dict[str, File]:
        """In the language in use."""
        spoken = language.current()
        with self._lock:
            if spoken not in self._files:
                self._files[spoken] = self._made()
            return self._files[spoken]

    def _made(self) -> dict[str, File]:
        usual, cache = self._predictor, self._settings.graph_cache
        checkpoint = dataclasses.replace(find(usual.folder), id=usual.id, revision=usual.revision)
        links = [(url_for(endpoint), name, False) for endpoint, name in NAVIGATION]
        links += [(url_for("private.page"), N_("Private"), True)]
        try:
            graph = small_graph(checkpoint, cache)
        except SkinDiseaseNetError as error:
            raise ExportError(error.message, hint=error.hint, code="private_unavailable") from error
        return private_site(
            checkpoint,
            graph,
            terms=usual.terms,
            top=render.top(url_for("pages.index"), links),
        )


def build_private(settings: Settings, predictor: Predictor) -> Blueprint:
    """Build the page and its files.

    Args:
        settings: name the folder of graphs.
        predictor: whose checkpoint answers, the usual one of several.
    """
    private = Blueprint("private", __name__)
    site = _Site(settings, predictor)

    @private.get("/private/")
    def page() -> Response:
        return _send(PAGE)

    @private.get("/private/<path:name>")
    def file(name: str) -> Response:
        return _send(name)

    def _send(name: str) -> Response:
        files = site.files()
        if name not in files:
            abort(404)
        found, kind = files[name], _KINDS.get(name[name.rfind(".") :])
        if isinstance(found, bytes):
            return send_file(io.BytesIO(found), mimetype=kind, download_name=name)
        return send_file(found.absolute(), mimetype=kind)

    return private

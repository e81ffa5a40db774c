"""The language of each response: for pages as chosen or as the browser prefers, for the API as it asks."""

from __future__ import annotations

from flask import Flask, Response, request

from app.pages import language
from app.pages.render import LANGUAGE
from app.web.errors import wants_json


def add_language(app: Flask) -> None:
    """Use the right language from the start of each request; remember a choice made by a link in a cookie.

    The API is English unless a program asks for another language with ``Accept-Language``.
    """
    app.jinja_env.globals.update(LANGUAGE)

    @app.before_request
    def begin() -> None:
        accepted = request.headers.get("Accept-Language")
        if wants_json():
            language.begin(language.negotiate(accepted))
        else:
            language.begin(
                language.choose(
                    asked=request.args.get(language.QUERY),
                    remembered=request.cookies.get(language.COOKIE),
                    accepted=accepted,
                )
            )

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        language.begin(language.ENGLISH)  # for whatever comes next on this thread

    @app.after_request
    def remember(response: Response) -> Response:
        response.vary.update(("Accept-Language",) if wants_json() else ("Accept-Language", "Cookie"))
        if (asked := request.args.get(language.QUERY)) in language.NAMES and not wants_json():
            response.set_cookie(
                language.COOKIE,
                asked,
                max_age=language.COOKIE_SECONDS,
                path=request.script_root or "/",
                secure=request.is_secure,
                httponly=True,
                samesite="Lax",
            )
        return response

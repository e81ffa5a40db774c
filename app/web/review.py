"""The pages of the review queue: send a picture by consent, read cases, see agreement."""

from __future__ import annotations

from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from app.prediction import Prediction
from app.predictor import Predictor
from app.settings import Settings
from app.web.errors import RequestError
from app.web.upload import read_form_picture
from model.errors import ConfigError


class Review:
    """The queue, as the other pages and the API use it; made only where ``REVIEW`` is set.

    Args:
        settings: with the database, the key file and the readers. Cases that are too old are deleted.

    Raises:
        ConfigError: a package is missing, or the database or the key file cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            from app.review.store import Store
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"REVIEW is set, but the package {error.name} is not installed.",
                hint="Install requirements-review.txt.",
            ) from error
        assert settings.review is not None
        assert settings.review_key_file is not None
        self.store = Store(settings.review, settings.review_key_file)
        self.store.purge(settings.review_days)
        self.readers = frozenset(settings.review_readers)
        self.days = settings.review_days

    def submit(self, data: bytes, prediction: Prediction) -> str:
        """Store a picture that may be kept, and its answer; return the id of the case."""
        from app.review.picture import stored_picture

        return self.store.submit(stored_picture(data), prediction.to_json(), who=g.get("key"))

    def consent_form(self) -> Markup:
        """The form below an answer that asks whether doctors may see the picture."""
        return Markup(render_template("review_consent.html", days=self.days))


def add_review(app: Flask, review: Review, predictor: Predictor) -> None:
    """Add the routes below ``/review``."""
    from app.review import agreement
    from app.review.readings import MAX_NOTE, OTHER

    pages = Blueprint("review", __name__, url_prefix="/review")
    store = review.store

    @pages.app_context_processor
    def is_reader() -> dict[str, Any]:
        return {"reader": g.get("key") in review.readers}

    def reader() -> str:
        """The reader's name; anyone else gets 403."""
        if (name := g.get("key")) not in review.readers:
            raise RequestError(
                "Your key may not read cases.",
                hint="Ask whoever runs this service to add its name to REVIEW_READERS.",
                code="forbidden",
                status=403,
            )
        return str(name)

    @pages.get("/")
    def queue() -> str:
        return render_template("review_queue.html", cases=store.queue(reader()))

    @pages.post("/")
    def submit() -> str:
        if request.form.get("consent") != "1":
            raise RequestError(
                "The picture was not stored: the box with the consent is not ticked.",
                hint="Go back and tick it, if the person in the picture agrees.",
                code="no_consent",
            )
        data = read_form_picture(request)
        case = review.submit(data, predictor.predict(data))
        return render_template("review_sent.html", case=case, days=review.days)

    @pages.get("/cases/<case>")
    def case(case: str) -> str:
        shown = store.case(case, reader())
        return render_template("review_case.html", case=shown, other=OTHER, max_note=MAX_NOTE)

    @pages.get("/cases/<case>/picture")
    def picture(case: str) -> Response:
        reader()
        return Response(store.picture(case), mimetype="image/jpeg")

    @pages.post("/cases/<case>")
    def read(case: str) -> AnyResponse:
        name, form = reader(), request.form
        store.read(
            case,
            name,
            form.get("decision", ""),
            label=form.get("label", ""),
            note=form.get("note", ""),
        )
        return redirect(url_for("review.queue"), 303)

    @pages.get("/agreement")
    def read_agreement() -> str:
        reader()
        cases = store.settled()
        return render_template(
            "review_agreement.html",
            kappa=agreement.kappa(cases),
            accuracy=agreement.accuracy(cases),
            by_label=agreement.by_label(cases),
            settled=len(cases),
            min_cases=agreement.MIN_CASES,
        )

    app.register_blueprint(pages)

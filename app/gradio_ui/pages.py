"""Routes beside Gradio's own: the scripts of the pages, and answers as PDF."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from app.gradio_ui.frame import SCRIPTS, WAY
from app.pages import render, wording
from app.pages.report_pdf import posted_report
from app.prediction import Prediction
from model.errors import SkinDiseaseNetError
from model.image import MAX_BYTES


def page_routes(combine: Callable[[Sequence[Prediction]], Prediction]) -> list[BaseRoute]:
    """The routes that the script of the pages uses; ``combine`` is that of the predictor."""

    async def font(request: Request) -> Response:
        return FileResponse(render.FOLDER / render.FONT)

    async def report(request: Request) -> Response:
        # Kept in memory: the whole body is no larger than a picture, see Edge.
        async with request.form(max_files=2, max_fields=3, max_part_size=MAX_BYTES) as form:
            sent = {name: await value.read() for name, value in form.items() if isinstance(value, UploadFile)}
            words = {name: value for name, value in form.items() if isinstance(value, str)}
        try:
            data = await run_in_threadpool(
                posted_report,
                combine,
                prediction=words.get("prediction", ""),
                when=words.get("when", ""),
                photos=words.get("photos", ""),
                picture=sent.get("picture"),
                heatmap=sent.get("heatmap"),
            )
        except SkinDiseaseNetError as error:
            return PlainTextResponse(" ".join(wording.error_words(error)), status_code=400)
        return Response(data, media_type="application/pdf")

    return [
        Mount(f"/{SCRIPTS}", StaticFiles(directory=render.SCRIPTS)),
        Route(f"/{render.FONT}", font),
        Route(f"/{WAY.report}", report, methods=["POST"]),
    ]

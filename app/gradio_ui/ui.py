"""The Gradio app: builds the pages and serves them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Gradio reads this when it is imported: telemetry stays off.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
import uvicorn
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from app.drift import signals
from app.gradio_ui.api import add_api
from app.gradio_ui.connections import timed_protocol
from app.gradio_ui.edge import Edge
from app.gradio_ui.frame import ABOUT, LEARN, PAGES, SEVERAL, head_html, part, top
from app.gradio_ui.pages import page_routes
from app.gradio_ui.preview import describe_pages
from app.gradio_ui.speech import Speech, route
from app.gradio_ui.uploads import MAX_AGE, Uploads
from app.gradio_ui.views import look_page, several_page
from app.pages import language, render
from app.pages.examples import load_examples
from app.prediction import Prediction
from app.predictor import Predictor
from app.queue import Queue
from app.service.audit_log import AuditLog
from app.service.listening import netloc, require_free
from app.settings import Settings
from model.errors import ConfigError
from model.image import MAX_BYTES
from model.schema import CheckpointId

try:
    import spaces
except ImportError:
    spaces = None

CSS = Path(__file__).with_name("gradio.css")
TITLE = "SkinDiseaseNet"
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")


def build_demo(predictor: Predictor, settings: Settings, uploads: Uploads) -> gr.Blocks:
    """Build the pages and the API.

    Args:
        predictor: predicts every picture.
        settings: the operator's settings.
        uploads: the uploaded pictures.

    Raises:
        ConfigError: the examples cannot be used, or the audit log cannot be written.
    """
    examples = load_examples(settings.examples)
    queue = Queue(running=settings.max_running, waiting=settings.max_waiting)
    lent = _on_gpu(predictor.predict)
    audit = AuditLog(settings.audit_log)

    def look(data: bytes, **options: Any) -> Prediction:
        started, verdicts, seen = time.perf_counter(), [], []
        answering: CheckpointId = {"id": predictor.id, "revision": predictor.revision}
        try:
            with queue.turn():
                answer = lent(data, **options)
            verdicts.append(answer.verdict)
            answering = answer.checkpoint
            seen.append(signals(answer)._asdict())
            return answer
        finally:
            audit.write(
                endpoint="gradio",
                milliseconds=round((time.perf_counter() - started) * 1e3, 1),
                key=None,
                verdicts=verdicts,
                checkpoint=answering,
                **({"signals": seen} if settings.audit_signals else {}),
            )

    labels = predictor.labels
    describe_pages()

    def page(current: str) -> None:
        """One page, in the language in use."""
        gr.Navbar(visible=False)
        part(top(current))
        if current == SEVERAL:
            several_page(look, uploads, predictor)
        elif current == LEARN:
            part(render.learn(labels, address=LEARN))
        elif current == ABOUT:
            identity = {"model_id": predictor.id, "revision": predictor.revision}
            part(render.about(predictor.card, **identity, labels=len(labels)))
        else:
            look_page(look, uploads, examples, labels)
        part(render.bottom(predictor.id, terms=predictor.terms, about=ABOUT), elem_id="sdn-footer")

    # We store nothing in Gradio's cache; what Gradio itself puts there is deleted as soon as an upload is.
    kept = (round(MAX_AGE), round(MAX_AGE))
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=kept) as demo:
        page("")
        add_api(look, uploads)
    for code in language.NAMES:
        for path, name in PAGES:
            if route(path, code):
                with (
                    language.use(code),
                    demo.route(language.gettext(name), route(path, code), show_in_navbar=False),
                ):
                    page(path)
    # The queue is bounded as a whole; the events' shared concurrency_id bounds what runs.
    demo.queue(max_size=max(1, settings.max_waiting), default_concurrency_limit=settings.max_running)
    return demo


def require_startable(settings: Settings) -> None:
    """Check what can be checked before a model is loaded.

    Raises:
        ConfigError: keys are required, which the Gradio app does not support, or the address is not
            available.
    """
    settings.require_open()
    require_free(settings.host, settings.port)


def serve(predictor: Predictor, settings: Settings) -> None:
    """Serve until the process is told to stop.

    Raises:
        ConfigError: the address is not available, or a file named in the settings cannot be used.
    """
    # As for Ctrl+C: shut down cleanly.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ["FORWARDED_ALLOW_IPS"] = ""  # for uvicorn; TRUSTED_PROXIES decides, in Edge
    uvicorn.config.HTTP_PROTOCOLS["auto"] = timed_protocol(settings.request_seconds)  # type: ignore[assignment]
    uploads = Uploads()
    demo = build_demo(predictor, settings, uploads)
    try:
        routes = [*uploads.routes(), *page_routes(predictor.combine)]
        demo.launch(**launch_options(settings, routes))
    except OSError as error:
        raise ConfigError(
            f"{netloc(settings.host, settings.port)} cannot be listened on; the port may be taken.",
            hint="Choose another PORT, or correct HOST.",
        ) from error
    print(f"Open http://{netloc(settings.host, settings.port)}", flush=True)
    demo.block_thread()


def launch_options(settings: Settings, routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The arguments for ``gr.Blocks.launch``; ``routes`` come before Gradio's own."""
    edge = Middleware(
        Edge,
        seconds=settings.request_seconds,
        proxies=settings.trusted_proxies,
        space=bool(os.environ.get("SPACE_ID")),
    )
    return {
        "server_name": f"[{settings.host}]" if ":" in settings.host else settings.host,
        "server_port": settings.port,
        "quiet": True,
        "prevent_thread_lock": True,
        "share": False,
        "ssr_mode": False,
        "num_workers": 0,
        "mcp_server": True,
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": MAX_BYTES,
        "allowed_paths": [],
        "footer_links": ["api"],
        "css_paths": CSS,
        "head": head_html(),
        # A session's last result, with its picture, stays in memory: keep one, not Gradio's 10,000.
        "state_session_capacity": 1,
        "theme": gr.themes.Base(
            primary_hue="teal",
            neutral_hue="stone",
            font=SYSTEM_FONTS,
            font_mono=("ui-monospace", "monospace"),
        ),
        "app_kwargs": {"routes": list(routes), "middleware": [edge, Middleware(Speech)]},
    }


def _on_gpu(predict: Callable[..., Prediction]) -> Callable[..., Prediction]:
    """Request a GPU for each call on ZeroGPU Spaces, where the package ``spaces`` is installed."""
    if spaces is None:
        return predict

    def speaking(data: bytes, *, spoken: str = language.ENGLISH, **options: Any) -> Prediction:
        with language.use(spoken):
            return predict(data, **options)

    lent = spaces.GPU(speaking)  # runs in another process, which knows no language in use
    return lambda data, **options: lent(data, spoken=language.current(), **options)

"""The Flask app: ``gunicorn flask_app:app`` (`make serve`), or ``python flask_app.py`` to try it out."""

import logging.config
import sys

from app.predictor import Predictor
from app.service.logs import LOGGING
from app.settings import Settings
from app.web import create_app
from model.errors import SkinDiseaseNetError

logging.config.dictConfig(LOGGING)
try:
    settings = Settings.from_environment(default_port=8000)
    app = create_app(settings, Predictor.from_settings(settings, streams=settings.max_running))
except SkinDiseaseNetError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(4)  # gunicorn reads 4 as "do not try again"; any other status starts the worker over for ever

if __name__ == "__main__":
    logging.info("This server is for trying things out; `make serve` is the one for production.")
    app.run(host=settings.host, port=settings.port, threaded=True)

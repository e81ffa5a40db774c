"""The Flask app: ``gunicorn flask_app:app`` (`make serve`), or ``python flask_app.py`` to try it out."""

import logging.config

from app.service.logs import LOGGING
from app.service.refusal import refuse_to_start
from app.settings import Settings
from app.several import from_settings
from app.web import create_app
from model.errors import SkinDiseaseNetError

logging.config.dictConfig(LOGGING)
try:
    settings = Settings.from_environment(default_port=8000)
    app = create_app(settings, from_settings(settings, streams=settings.max_running))
except SkinDiseaseNetError as error:
    refuse_to_start(error)

if __name__ == "__main__":
    logging.info("This server is for development; use `make serve` in production.")
    app.run(host=settings.host, port=settings.port, threaded=True)

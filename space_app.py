"""The Gradio app: ``python space_app.py``, ``make demo``, and the Hugging Face Space."""

import sys

from app.gradio_ui.ui import require_startable, serve
from app.settings import Settings
from app.several import from_settings
from model.errors import SkinDiseaseNetError


def main() -> None:
    try:
        settings = Settings.from_environment(default_port=7860)
        require_startable(settings)
        predictor = from_settings(settings)
        print(predictor.describe(), flush=True)
        serve(predictor, settings)
    except SkinDiseaseNetError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

# The Flask service with the embedded checkpoint: docs/serving.md says how to run it, or see compose.yaml.
FROM python:3.12-slim AS build

# Where torch and torchvision come from, as for `make`; neither is in the image.
ARG TORCH_INDEX=""

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/venv/bin:$PATH
WORKDIR /srv/app
COPY requirements.txt requirements-web.txt constraints.txt ./
# What serves, and apart from it PyTorch, which only exports the graph and stays behind.
RUN python -m venv /opt/venv && pip install -c constraints.txt -r requirements-web.txt
RUN python -m venv /opt/torch \
    && if [ -n "$TORCH_INDEX" ]; then \
        /opt/torch/bin/pip install --no-deps -c constraints.txt --index-url "$TORCH_INDEX" $(grep '^torch' requirements.txt); \
    fi \
    && /opt/torch/bin/pip install -c constraints.txt -r requirements-web.txt $(grep -E '^(torch|timm|onnx)' requirements.txt)

COPY app app
COPY model model
COPY checkpoints checkpoints
COPY flask_app.py gunicorn.conf.py LICENSE ./
# The graph that the CPU runs and the one that browsers run, so that nothing has to be exported later.
RUN /opt/torch/bin/python -m model.runtime.export checkpoints/skin22 --output /opt/graphs \
    && /opt/torch/bin/python -m model.runtime.small checkpoints/skin22 --output /opt/graphs \
    && python -m compileall -q app model

FROM python:3.12-slim

RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin service
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/graphs /opt/graphs
COPY --from=build /srv/app /srv/app

# Nothing is written outside /tmp, and nothing is fetched. ACCESS is left to whoever runs this: without it the
# service, which other machines may reach here, does not start.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    HF_HUB_OFFLINE=1 HOST=0.0.0.0 PORT=8000 GRAPH_CACHE=/opt/graphs
WORKDIR /srv/app
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/readyz\", timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["gunicorn", "flask_app:app"]

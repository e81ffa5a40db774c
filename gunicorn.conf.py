"""gunicorn's configuration for ``flask_app:app``: for ``make serve``, the Docker image, or a plain gunicorn.

gunicorn finds this file in the folder that it is started in. Everything follows from app/settings.py.
"""

import logging.config
import os
import shutil
import sys
import tempfile
from pathlib import Path

from app.service.listening import require_free
from app.service.logs import LOGGING
from app.service.refusal import EXIT_STATUS, last_word, refuse_to_start
from app.service.worker import SPARE_THREADS, BoundedWorker
from app.settings import Settings, is_local
from model.errors import SkinDiseaseNetError

logging.config.dictConfig(LOGGING)
try:
    _settings = Settings.from_environment(default_port=8000)
except SkinDiseaseNetError as error:
    refuse_to_start(error)

_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host
bind = f"{_host}:{_settings.port}"
workers = _settings.workers
worker_class = BoundedWorker
threads = _settings.max_running + _settings.max_waiting + SPARE_THREADS
graceful_timeout = 60  # seconds to finish requests in flight after SIGTERM
timeout = 120  # a worker whose main loop is silent for so long is replaced; includes loading the model
keepalive = 5
control_socket_disable = True
forwarded_allow_ips = ""  # TRUSTED_PROXIES decides, in the app
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
logconfig_dict = LOGGING

# The workers share their metrics in this folder. prometheus_client needs it to be set before its import.
_mine = f"skindiseasenet-metrics-{os.getpid()}-"
if not os.path.basename(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")).startswith(_mine):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=_mine)


def on_starting(server):
    """Another loopback address may be given, but no option may bypass ACCESS."""
    given = server.cfg.settings["bind"].get()
    local = all(isinstance(address, tuple) and is_local(address[0]) for address in server.cfg.address)
    if given != [bind] and not local:
        print(
            f"error: gunicorn was told to listen on {', '.join(given)}, but HOST and PORT say {bind}. "
            "Set HOST and PORT, and leave --bind out.",
            file=sys.stderr,
        )
        sys.exit(EXIT_STATUS)
    if "GUNICORN_PID" not in os.environ:  # otherwise it takes over the sockets of its predecessor
        try:
            for host, port in (address for address in server.cfg.address if isinstance(address, tuple)):
                require_free(host, port)
        except SkinDiseaseNetError as error:
            refuse_to_start(error)


def child_exit(server, worker):
    """Remove a dead worker from the gauges."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    last_word(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)

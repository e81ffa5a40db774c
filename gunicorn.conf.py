"""How gunicorn runs ``flask_app:app``: in ``make serve``, in the Docker image, by hand.

gunicorn finds this file by itself in the folder that it is started in.
Everything follows from app/settings.py.
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
graceful_timeout = 60  # seconds in which what is in flight is finished after SIGTERM
timeout = 120  # a worker whose main loop says nothing for so long is replaced; loading the model counts
keepalive = 5
control_socket_disable = True
forwarded_allow_ips = ""  # TRUSTED_PROXIES decides, in the app
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
logconfig_dict = LOGGING

# The workers' metrics meet in this folder. prometheus_client wants it named before it is imported.
_mine = f"skindiseasenet-metrics-{os.getpid()}-"
if not os.path.basename(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")).startswith(_mine):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=_mine)


def on_starting(server):
    """Another address of this machine's own may be given, but no option goes around ACCESS."""
    given = server.cfg.settings["bind"].get()
    local = all(isinstance(address, tuple) and is_local(address[0]) for address in server.cfg.address)
    if given != [bind] and not local:
        print(
            f"error: gunicorn was told to listen on {', '.join(given)}, but HOST and PORT say {bind}. "
            "Set HOST and PORT, and leave --bind out.",
            file=sys.stderr,
        )
        sys.exit(EXIT_STATUS)
    if "GUNICORN_PID" not in os.environ:  # else this one takes over the sockets of the one before it
        try:
            for host, port in (address for address in server.cfg.address if isinstance(address, tuple)):
                require_free(host, port)
        except SkinDiseaseNetError as error:
            refuse_to_start(error)


def child_exit(server, worker):
    """A dead worker no longer counts in the gauges."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    last_word(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)

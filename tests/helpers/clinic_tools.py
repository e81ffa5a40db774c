"""Programs that stand for a clinic's: an archive (Orthanc) and a validator of DICOM (dciodvfy)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import free_port, running

PACKAGES = {"Orthanc": "orthanc orthanc-dicomweb", "dciodvfy": "dicom3tools"}


def program(name: str) -> str:
    """The path of a program; without it the test skips, or fails where REQUIRE_CLINIC is set."""
    if path := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        return path
    message = f"{name} is missing; on Debian and Ubuntu: sudo apt-get install {PACKAGES[name]}"
    if os.environ.get("REQUIRE_CLINIC"):
        pytest.fail(message)
    pytest.skip(message)


@contextlib.contextmanager
def orthanc(folder: Path) -> Iterator[str]:
    """A fresh archive in a folder; yields the root of its DICOMweb services."""
    command, port = program("Orthanc"), free_port()
    configuration = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": ["/usr/share/orthanc/plugins"],
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration), encoding="utf-8")
    started = [command, str(folder / "orthanc.json")]
    with running(started, port=port, log=folder / "log", environment={}, ready="/system") as address:
        yield f"{address}/dicom-web"

"""Pictures and reports in the formats that clinics use; imported only where it is switched on."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from model.errors import ConfigError

_PACKAGES = ("pydicom", "jpeg_ls", "highdicom", "fhir")


def require_packages() -> None:
    """Check that the extra ``clinic`` is installed, before one of its modules is imported.

    Raises:
        ConfigError: it is not.
    """
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise ConfigError(
            f"The formats of clinics need packages that are not installed ({', '.join(missing)}).",
            hint="Install them: pip install -r requirements-clinic.txt -c constraints.txt",
        )


def dicom_opener() -> Callable[[bytes], bytes]:
    """The function that takes the picture out of a DICOM file, and leaves any other data as it is.

    Raises:
        ConfigError: the extra is not installed.
    """
    require_packages()
    from app.clinic.dicom import picture_in

    return picture_in

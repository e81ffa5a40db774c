"""deploy/kubernetes: valid for the API, and as strict and complete as the service allows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from conftest import ROOT
from flask.testing import FlaskClient

from app.settings import Settings

FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
PARTS: dict[str, dict[str, Any]] = {
    name: yaml.safe_load((FOLDER / name).read_text()) for name in KUSTOMIZATION["resources"]
}
POD = PARTS["deployment.yaml"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


@pytest.mark.parametrize("name", PARTS)
def test_every_part_is_what_the_api_expects(name: str) -> None:
    kubernetes_validate.validate(PARTS[name], "1.32", strict=True)


def test_a_wrong_part_would_be_found() -> None:
    wrong = yaml.safe_load((FOLDER / "service.yaml").read_text())
    wrong["spec"]["ports"][0]["prot"] = 80
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.32", strict=True)


def test_nothing_in_the_folder_is_left_out() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*PARTS, "kustomization.yaml"}


def test_the_settings_start_a_service(tmp_path: Path) -> None:
    given = dict(line.split("=", 1) for line in KUSTOMIZATION["configMapGenerator"][0]["literals"])
    secret = {entry["name"]: "x" * 64 for entry in CONTAINER["env"]}
    read = Settings.from_environment(default_port=8000, environment={**given, **secret, "HOST": "0.0.0.0"})
    assert read.access == "keys"
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert str(read.keys_file) == f"{mounts['keys']}/keys"


def test_probes_ask_what_the_service_answers(client: FlaskClient) -> None:
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert client.get(CONTAINER[probe]["httpGet"]["path"]).status_code == 200


def test_it_runs_without_rights_on_a_read_only_root() -> None:
    assert POD["securityContext"]["runAsUser"] == 10001
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is False
    assert set(CONTAINER["resources"]) == {"requests", "limits"}


def test_selectors_find_the_pods() -> None:
    labels = PARTS["deployment.yaml"]["spec"]["template"]["metadata"]["labels"]
    assert PARTS["deployment.yaml"]["spec"]["selector"]["matchLabels"] == labels
    assert PARTS["service.yaml"]["spec"]["selector"] == labels


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_puts_it_together() -> None:
    done = subprocess.run(["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=True)
    made = list(yaml.safe_load_all(done.stdout))
    assert sorted(part["kind"] for part in made) == sorted(
        ["ConfigMap", *(part["kind"] for part in PARTS.values())]
    )
    for part in made:
        kubernetes_validate.validate(part, "1.32", strict=True)

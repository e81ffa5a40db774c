"""The Dockerfile, compose.yaml and the proxy's file, as far as they can be checked without an engine."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from app.settings import Settings

DOCKERFILE = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SETTINGS = {field.name.upper() for field in dataclasses.fields(Settings)}
OF_OTHERS = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "HOME", "HF_HUB_OFFLINE", "GRAPH_CACHE"}


def instructions(name: str) -> list[str]:
    """Of the last stage and the one before it."""
    return re.findall(rf"^{name} +(.+)$", DOCKERFILE, re.MULTILINE)


def copied() -> list[str]:
    words = [shlex.split(line) for line in instructions("COPY")]
    return [source for line in words if not line[0].startswith("--from") for source in line[:-1]]


def test_what_is_copied_exists_and_is_not_kept_from_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert set(copied()) == allowed
    assert [name for name in copied() if not (ROOT / name).exists()] == []


def test_the_image_holds_what_the_service_imports() -> None:
    assert {"app", "model", "checkpoints", "flask_app.py", "gunicorn.conf.py"} <= set(copied())
    needed = {"train", "tests"}
    for source in [*(ROOT / "app").rglob("*.py"), *(ROOT / "model").rglob("*.py"), ROOT / "flask_app.py"]:
        roots = re.findall(r"^(?:from|import) (\w+)", source.read_text(), re.MULTILINE)
        assert not needed & set(roots), source


def test_the_image_runs_without_rights_and_with_a_health_check() -> None:
    assert instructions("USER") == ["10001"]
    assert "/readyz" in instructions("HEALTHCHECK")[0]
    assert instructions("CMD")[-1] == '["gunicorn", "flask_app:app"]'
    assert instructions("ARG") == ['TORCH_INDEX=""']
    assert "ACCESS=" not in DOCKERFILE, "who runs it must choose"
    names = set(
        re.findall(r"(\w+)=", DOCKERFILE.rpartition("\nFROM")[2].partition("ENV ")[2].partition("\n")[0])
    )
    assert names <= SETTINGS | OF_OTHERS


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_services_are_fenced_in(service: str) -> None:
    values = COMPOSE["services"][service]
    assert values["read_only"] is True
    assert values["cap_drop"] == ["ALL"]
    assert values["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in values["tmpfs"]
    assert "privileged" not in values


def test_the_service_is_reached_through_the_proxy_alone() -> None:
    web, proxy = COMPOSE["services"]["web"], COMPOSE["services"]["proxy"]
    assert "ports" not in web
    assert proxy["ports"] == ["80:80", "443:443"]
    assert set(web["environment"]) <= SETTINGS
    assert web["environment"]["TRUSTED_PROXIES"] == "1"
    environment = {
        name: re.sub(r"\$\{\w+:[-?]?(.*)\}", r"\1", value) for name, value in web["environment"].items()
    }
    environment |= {"HOST": "0.0.0.0", "SECRET_KEY": "s" * 32}
    assert Settings.from_environment(default_port=8000, environment=environment).access == "keys"
    caddyfile = (ROOT / "deploy" / "Caddyfile").read_text()
    assert f"web:{web['expose'][0]}" in caddyfile
    assert caddyfile.count("{") == caddyfile.count("}")
    for volume in (volume for values in COMPOSE["services"].values() for volume in values.get("volumes", ())):
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or source == "./deploy/keys" or Path(ROOT, source).exists()

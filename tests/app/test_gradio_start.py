"""How the Gradio app starts and ends: with which settings it does not start, and where it listens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from conftest import ROOT
from processes import free_port

import space_app
from app.service.keys import add_key


def refusal(monkeypatch: pytest.MonkeyPatch, **settings: str) -> str:
    """What the program says when it does not start."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        space_app.main()
    return str(ended.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("CHECKPOINT", "/no/such/folder", "There is no folder"), ("PORT", "seven", "PORT is 'seven'")],
)
def test_a_wrong_setting_ends_with_words(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", str(free_port()))
    assert refusal(monkeypatch, **{name: value}).startswith(f"error: {said}")


@pytest.mark.parametrize("space", ["", "someone/skin"])
def test_keys_belong_to_flask(space: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    add_key(tmp_path / "keys", "ward-7")
    keys = {"ACCESS": "keys", "KEYS_FILE": str(tmp_path / "keys"), "SECRET_KEY": "s" * 64}
    said = refusal(monkeypatch, **keys, SPACE_ID=space)
    assert "ACCESS is keys" in said
    assert "make serve" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "[2001:db8::1]"])
def test_beyond_this_machine_it_must_be_opened_on_purpose(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, HOST=host)
    assert "ACCESS is not set" in said
    assert "ACCESS=open" in said
    assert "make serve" in said


def test_a_taken_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        said = refusal(monkeypatch, PORT=port)
    assert said.startswith(f"error: 127.0.0.1:{port} is already in use.")
    assert "\n" not in said


def test_an_address_that_this_machine_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, HOST="192.0.2.1", ACCESS="open", PORT=str(free_port()))
    assert said.startswith("error: 192.0.2.1:")
    assert "cannot be listened on" in said


def gunicorn_refusal(**variables: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "gunicorn", "flask_app:app"],
        cwd=ROOT,
        env={**os.environ, "PORT": str(free_port()), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 4
    return ended.stderr.splitlines()[-1]


def test_gunicorn_names_a_taken_port_in_its_last_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        said = gunicorn_refusal(PORT=port)
    assert said.startswith(f"error: 127.0.0.1:{port} is already in use.")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MAX_RUNNING", "0", "error: MAX_RUNNING is '0'"),
        ("CHECKPOINT", "/nowhere", "error: There is no folder /nowhere."),
    ],
)
def test_gunicorn_names_a_setting_in_its_last_line_wherever_it_is_found_wrong(
    variable: str, value: str, said: str
) -> None:
    assert gunicorn_refusal(**{variable: value}).startswith(said)


@pytest.mark.parametrize("host", ["[::1]", "::"])
def test_it_listens_on_ipv6_until_it_is_told_to_end(host: str, tiny_checkpoint: Path) -> None:
    port = free_port()
    environment = {**os.environ, "CHECKPOINT": str(tiny_checkpoint), "PORT": str(port), "HOST": host}
    environment["ACCESS"] = "open" if host == "::" else ""
    command = [sys.executable, "space_app.py"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = next(line.split()[1] for line in process.stdout if line.startswith("Open http"))
            assert address == f"http://[{host.strip('[]')}]:{port}"
            assert urllib.request.urlopen(f"http://[::1]:{port}/", timeout=60).status == 200
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
        finally:
            process.kill()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("::1", port), timeout=10)

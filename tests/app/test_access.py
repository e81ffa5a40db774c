"""Settings that contradict each other, and the keys that `python -m app key` keeps."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from app.__main__ import main
from app.service.keys import KeyStore, add_key, revoke_key
from app.settings import Settings
from model.errors import ConfigError

SECRET = "s" * 32


def read(**variables: str) -> Settings:
    return Settings.from_environment(default_port=8000, environment=variables)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"ACCESS": "closed"}, "ACCESS is 'closed'"),
        ({"ACCESS": "keys"}, "KEYS_FILE is not set"),
        ({"ACCESS": "open", "KEYS_FILE": "k"}, "KEYS_FILE is set, but ACCESS is open"),
        ({"KEYS_FILE": "k"}, "KEYS_FILE is set, but ACCESS is not set"),
        ({"HOST": "0.0.0.0"}, "ACCESS is not set"),
        ({"HOST": "::"}, "ACCESS is not set"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY has 5 characters"),
        ({"TRUSTED_PROXIES": "all"}, "TRUSTED_PROXIES is 'all'"),
        ({"TRUSTED_PROXIES": "-1"}, "TRUSTED_PROXIES"),
        ({"RATE_LIMIT": "many"}, "RATE_LIMIT is 'many'"),
        ({"RATE_LIMIT": "off", "RATE_LIMIT_STORAGE": "memory://"}, "RATE_LIMIT is off"),
        ({"RATE_LIMIT_STORAGE": "redis://", "SECRET_KEY": SECRET}, "RATE_LIMIT_STORAGE is neither"),
        ({"RATE_LIMIT_STORAGE": "http://x"}, "RATE_LIMIT_STORAGE is neither"),
        ({"RATE_LIMIT_STORAGE": "redis://:pass@[x"}, "RATE_LIMIT_STORAGE is neither"),
        ({"RATE_LIMIT_STORAGE": "redis://localhost:6379/0"}, "SECRET_KEY"),
        ({"WORKERS": "0"}, "WORKERS is '0'; a whole number from 1 to 256 is expected"),
        ({"MAX_RUNNING": "1_0"}, "MAX_RUNNING is '1_0'"),
        ({"MAX_WAITING": "1.0"}, "MAX_WAITING is '1.0'"),
        ({"PORT": "9" * 5000}, "a whole number from 1 to 65535"),
        ({"DEVICE": "tpu"}, "DEVICE is 'tpu'; auto, cpu, cuda or mps is expected"),
        ({"REQUEST_SECONDS": "0"}, "REQUEST_SECONDS"),
        ({"AUDIT_REQUIRED": "true"}, "AUDIT_REQUIRED is 'true'; yes or no"),
    ],
)
def test_a_wrong_or_contradictory_setting_is_named(variables: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**variables)
    assert named in caught.value.message
    assert caught.value.hint
    assert "pass@" not in str(caught.value)


def test_the_choice_of_access() -> None:
    assert read().access == read(HOST="localhost").access == "open"
    assert read(SPACE_ID="org/demo") == read(HOST="0.0.0.0", ACCESS="open")
    assert read(ACCESS="keys", KEYS_FILE="k", HOST="0.0.0.0").keys_file == Path("k")
    assert read(RATE_LIMIT="off").rate_limit is None
    with pytest.raises(ConfigError, match="SECRET_KEY"):
        read(ACCESS="keys", KEYS_FILE="k").require_secret()
    assert read(ACCESS="keys", KEYS_FILE="k", SECRET_KEY=SECRET).require_secret() == SECRET


def test_a_misspelt_setting_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        read(
            ACESS="keys",
            max_runing="2",
            PATH="/bin",
            HOSTNAME="ward",
            SECRET_KEYS="",
            WEB_PORT="80",
            HOME="/",
        )
    assert [record.getMessage() for record in caplog.records] == [
        "ACESS is set, but it is not a setting. Did you mean ACCESS?",
        "max_runing is set, but it is not a setting. Did you mean MAX_RUNNING?",
    ]


def test_every_address_of_this_machine_alone_is_local() -> None:
    assert {read(HOST=host).access for host in ("127.0.0.2", "127.255.0.1", "::1", "localhost")} == {"open"}


def test_secrets_are_not_shown() -> None:
    url = "redis://:passes@localhost:6379/0"
    shown = repr(read(SECRET_KEY=SECRET, RATE_LIMIT_STORAGE=url))
    assert SECRET not in shown
    assert "passes" not in shown


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_a_key_is_made_shown_once_and_revoked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "add", "ward-7", "--file", str(file)]) == 0
    secret = capsys.readouterr().out.strip()
    assert len(secret) >= 43
    assert secret not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store = KeyStore(file)
    key = store.find(secret)
    assert key
    assert key.name == "ward-7"
    assert store.find(secret + "x") is store.find("") is None

    assert main(["key", "list", "--file", str(file)]) == 0
    listed = capsys.readouterr().out
    assert "ward-7" in listed
    assert secret not in listed

    assert main(["key", "revoke", "ward-7", "--file", str(file)]) == 0
    assert store.find(secret) is None, "the store that was open before sees it"
    add_key(file, "ward-7")
    assert store.find(secret) is None, "a new key of the same name does not bring the old one back"


def test_a_change_keeps_the_others_and_the_files_mode(file: Path) -> None:
    secrets = {name: add_key(file, name) for name in ("one", "two", "three")}
    os.chmod(file, 0o640)
    revoke_key(file, "two")
    store = KeyStore(file)
    found = {name: bool(store.find(secret)) for name, secret in secrets.items()}
    assert found == {"one": True, "two": False, "three": True}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(file.parent) == ["keys"]


def test_wrong_names_and_files_are_refused_in_words(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "list", "--file", str(file)]) == 1
    assert "cannot be read" in capsys.readouterr().err
    add_key(file, "one")
    for name in ("one", "two words", "", "x" * 65, "../x"):
        assert main(["key", "add", name, "--file", str(file)]) == 1
    assert main(["key", "revoke", "two", "--file", str(file)]) == 1
    assert "The keys are: one." in capsys.readouterr().err
    assert main(["key", "add", "one", "--file", str(file.parent / "no" / "keys")]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["name", "name 1234 2026-01-01", f"name {'0' * 64}", f"one {'0' * 64} day", "\x00"]
)
def test_a_broken_file_lets_nobody_in(file: Path, line: str) -> None:
    secret = add_key(file, "one")
    store = KeyStore(file)
    assert store.find(secret)
    with file.open("a") as handle:
        handle.write(line + "\n")
    for attempt in (lambda: store.find(secret), lambda: store.find(secret), lambda: KeyStore(file)):
        with pytest.raises(ConfigError, match="Line"):
            attempt()

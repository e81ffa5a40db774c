"""The database of the review queue: SQLite or PostgreSQL, brought up to date when it is opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import SQLAlchemyError

from model.errors import ConfigError

_LOCK = 0x5344_4E01
"""The advisory lock that workers take in turns to migrate; any number that nobody else uses."""

_PATIENCE = 30
"""Seconds that one writer of an SQLite file waits for another."""


def connect(url: str) -> sa.Engine:
    """Open the database and apply the migrations that it lacks; several workers may do so at once.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://...``.

    Raises:
        ConfigError: the database cannot be used.
    """
    with in_words():
        address = sa.make_url(url)
        sqlite = address.get_backend_name() == "sqlite"
        engine = sa.create_engine(
            address if sqlite else address.set(drivername="postgresql+psycopg"),
            poolclass=sa.NullPool,
            hide_parameters=True,  # in error messages, which are logged
            connect_args={"timeout": _PATIENCE} if sqlite else {"connect_timeout": _PATIENCE},
        )
        if sqlite:
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
        with engine.begin() as connection:
            if not sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            config = Config()
            folder = Path(__file__).parent / "migrations"
            config.set_main_option("script_location", str(folder).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return engine


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """Turn an error of the database into a ``ConfigError``, without the URL, which may hold a password."""
    try:
        yield
    except SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"The review database cannot be used ({why}).",
            hint="Check REVIEW, that the database runs, and that the server may write to it.",
            code="review_unusable",
        ) from error


def _prepare_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # transactions begin below, not where Python's sqlite3 thinks best
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # overwrites what is deleted


def _begin_sqlite(connection: sa.Connection) -> None:
    # Writers queue up here; one that reads first and writes later would fail instead of waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE")

"""The review queue: cases that wait for two doctors, each decision one transaction."""

from __future__ import annotations

import contextlib
import json
import math
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.review.cipher import Cipher
from app.review.database import connect, in_words
from app.review.readings import DISPUTED, OTHER, REJECTED, Reading, ReviewError, reading, settle
from app.review.tables import CASES, READINGS, TRAIL

_SHOWN = 100


class Case(NamedTuple):
    """What a reader sees of a case.

    Attributes:
        id: 32 random hexadecimal digits.
        created: UTC, as 2026-11-29T07:30:00Z.
        prediction: the model's answer, as JSON gives it, without heat map.
        own: the reader's own outcome; None before it is given.
    """

    id: str
    created: str
    prediction: dict[str, Any]
    own: str | None

    @property
    def labels(self) -> list[str]:
        """Most probable first."""
        return labels_of(self.prediction)


class Settled(NamedTuple):
    """A case that is settled, with what it was settled by.

    Attributes:
        predicted: the model's most probable label.
        outcome: a label, ``OTHER``, ``REJECTED`` or ``DISPUTED``.
        readings: the outcomes of its readers, in the order in which they came.
    """

    id: str
    predicted: str
    outcome: str
    readings: tuple[str, ...]


class Store:
    """The queue in one database, which several workers may share.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://...``.
        key_file: as for ``Cipher``.

    Raises:
        ConfigError: the database or the key file cannot be used. The methods raise it too.
    """

    def __init__(self, url: str, key_file: Path) -> None:
        self.cipher = Cipher(key_file)
        self._engine = connect(url)

    def submit(self, picture: bytes, prediction: dict[str, Any], *, who: str | None) -> str:
        """Store a case, whose picture may be kept by consent.

        Args:
            picture: encoded, without metadata; see ``stored_picture``.
            prediction: as ``Prediction.to_json`` gives it; its heat map is dropped.
            who: the name of the key that sent it.

        Returns:
            The id of the case.
        """
        case = secrets.token_hex(16)
        shares = [condition["probability"] for condition in prediction["conditions"]]
        with self.begin() as connection:
            connection.execute(
                CASES.insert().values(
                    id=case,
                    created=_now(),
                    picture=self.cipher.encrypt(picture),
                    prediction=json.dumps({**prediction, "heatmap": None}, allow_nan=False),
                    revision=prediction["checkpoint"]["revision"],
                    entropy=-sum(share * math.log(share) for share in shares if share > 0),
                )
            )
            _note(connection, case, who, "submitted")
        return case

    def queue(self, reader: str) -> list[Case]:
        """Up to a hundred cases that this reader may read, the most uncertain first."""
        own = sa.select(READINGS.c.case_id).where(READINGS.c.reader == reader)
        waiting = (
            sa.select(CASES.c.id, CASES.c.created, CASES.c.prediction)
            .where(CASES.c.outcome.is_(None), CASES.c.id.not_in(own))
            .order_by(CASES.c.entropy.desc(), CASES.c.id)
            .limit(_SHOWN)
        )
        with self.begin() as connection:
            return [Case(id, at, json.loads(text), None) for id, at, text in connection.execute(waiting)]

    def case(self, case: str, reader: str) -> Case:
        """One case, as this reader may see it: never with what another reader said.

        Raises:
            ReviewError: there is no such case.
        """
        own = sa.select(READINGS.c.outcome).where(
            READINGS.c.case_id == CASES.c.id, READINGS.c.reader == reader
        )
        wanted = sa.select(CASES.c.id, CASES.c.created, CASES.c.prediction, own.scalar_subquery())
        with self.begin() as connection:
            row = connection.execute(wanted.where(CASES.c.id == case)).one_or_none()
        if row is None:
            raise _unknown()
        return Case(row[0], row[1], json.loads(row[2]), row[3])

    def picture(self, case: str) -> bytes:
        """The picture of a case, decrypted.

        Raises:
            ReviewError: there is no such case.
        """
        with self.begin() as connection:
            token = connection.scalar(sa.select(CASES.c.picture).where(CASES.c.id == case))
        if token is None:
            raise _unknown()
        return self.cipher.decrypt(token)

    def read(self, case: str, reader: str, decision: str, *, label: str = "", note: str = "") -> Reading:
        """Store a reader's decision and, if it settles the case, the outcome: all of it or nothing.

        Args:
            case: its id.
            reader: the name of the reader's key.
            decision, label, note: as for ``reading``.

        Raises:
            ReviewError: there is no such case, the decision is not valid, this reader has read it already, or
                it is settled.
        """
        with self.begin() as connection:
            # The lock makes readers of one case take turns, so no fourth reading comes in between.
            row = connection.execute(
                sa.select(CASES.c.prediction, CASES.c.outcome).where(CASES.c.id == case).with_for_update()
            ).one_or_none()
            if row is None:
                raise _unknown()
            given = connection.execute(
                sa.select(READINGS.c.reader, READINGS.c.outcome).where(READINGS.c.case_id == case)
            ).all()
            if any(name == reader for name, _ in given):
                raise ReviewError(
                    "You have read this case already; a reading cannot be changed.",
                    hint="Go on with the next case.",
                    code="already_read",
                )
            if row.outcome is not None:
                raise ReviewError(
                    "This case has been settled in the meantime.",
                    hint="Go on with the next case.",
                    code="already_settled",
                )
            said = reading(decision, label, note, labels=labels_of(json.loads(row.prediction)))
            connection.execute(
                READINGS.insert().values(
                    case_id=case,
                    reader=reader,
                    created=_now(),
                    place=len(given) + 1,
                    decision=said.decision,
                    outcome=said.outcome,
                    note=self.cipher.encrypt(said.note.encode()) if said.note else None,
                )
            )
            outcome = settle([*(outcome for _, outcome in given), said.outcome])
            connection.execute(CASES.update().where(CASES.c.id == case).values(outcome=outcome))
            _note(connection, case, reader, said.decision)
        return said

    def settled(self) -> list[Settled]:
        """Every settled case, by id."""
        with self.begin() as connection:
            said: dict[str, list[str]] = {}
            ordered = sa.select(READINGS.c.case_id, READINGS.c.outcome).order_by(READINGS.c.place)
            for case, outcome in connection.execute(ordered):
                said.setdefault(case, []).append(outcome)
            wanted = sa.select(CASES.c.id, CASES.c.prediction, CASES.c.outcome)
            rows = connection.execute(wanted.where(CASES.c.outcome.is_not(None)).order_by(CASES.c.id))
            return [
                Settled(id, labels_of(json.loads(text))[0], outcome, tuple(said[id]))
                for id, text, outcome in rows
            ]

    def delete(self, case: str) -> None:
        """Delete a case with its picture and readings; the trail keeps that it was there.

        Raises:
            ReviewError: there is no such case.
        """
        with self.begin() as connection:
            if not _delete(connection, CASES.c.id == case, "deleted"):
                raise _unknown()

    def purge(self, days: int) -> int:
        """Delete the cases that are older than ``days``; return how many there were."""
        with self.begin() as connection:
            return _delete(connection, CASES.c.created < _now(ago=timedelta(days=days)), "expired")

    def rotate(self) -> int:
        """Encrypt everything again with the first key of the file, in one transaction each; return how many
        cases there are.
        """
        with self.begin() as connection:
            ids = list(connection.scalars(sa.select(CASES.c.id)))
        for case in ids:
            with self.begin() as connection:
                _renew(connection, self.cipher, CASES, CASES.c.picture, CASES.c.id == case)
                _renew(connection, self.cipher, READINGS, READINGS.c.note, READINGS.c.case_id == case)
        return len(ids)

    @contextlib.contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One transaction, whose errors are told in words."""
        with in_words(), self._engine.begin() as connection:
            yield connection


def labels_of(prediction: dict[str, Any]) -> list[str]:
    """The labels of a stored prediction, most probable first."""
    return [condition["name"] for condition in prediction["conditions"]]


def is_label(outcome: str) -> bool:
    """Whether an outcome is one of the model's labels."""
    return outcome not in (OTHER, REJECTED, DISPUTED)


def _now(*, ago: timedelta = timedelta()) -> str:
    return (datetime.now(timezone.utc) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")


def _unknown() -> ReviewError:
    return ReviewError(
        "There is no such case.", hint="It may have been deleted; see the queue.", code="no_such_case"
    )


def _note(connection: sa.Connection, case: str, who: str | None, action: str) -> None:
    connection.execute(TRAIL.insert().values(created=_now(), case_id=case, who=who, action=action))


def _delete(connection: sa.Connection, which: sa.ColumnElement[bool], action: str) -> int:
    ids = list(connection.scalars(sa.select(CASES.c.id).where(which)))
    for case in ids:
        connection.execute(CASES.delete().where(CASES.c.id == case))
        _note(connection, case, None, action)
    return len(ids)


def _renew(
    connection: sa.Connection,
    cipher: Cipher,
    table: sa.Table,
    column: sa.Column[Any],
    which: sa.ColumnElement[bool],
) -> None:
    keys = list(table.primary_key.columns)
    for token, *key in connection.execute(sa.select(column, *keys).where(which, column.is_not(None))).all():
        row = sa.and_(*(name == value for name, value in zip(keys, key, strict=True)))
        connection.execute(table.update().where(row).values({column: cipher.renew(token)}))

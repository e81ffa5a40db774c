"""Write settled cases as the parquet that ``python -m train`` reads, with a trail of who did what."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from app.review.store import Store, is_label, labels_of
from app.review.tables import CASES, READINGS, TRAIL
from model.errors import ConfigError
from model.files import atomic_path

TABLE, AUDIT = "train-00000-of-00001.parquet", "audit.jsonl"
_TEXTS = ("id", "source", "group", "revision")


def export(store: Store, folder: Path) -> int:
    """Write the cases that were settled on a label, and how they were.

    Pictures with the same bytes are one group. The folder holds pictures in the clear.

    Args:
        store: the queue.
        folder: created if needed; gets ``TABLE`` and ``AUDIT``, replaced if they are there.

    Returns:
        How many cases were written.

    Raises:
        ConfigError: no case is settled, or the folder cannot be written.
    """
    with store.begin() as connection:
        rows = connection.execute(
            sa.select(CASES.c.id, CASES.c.outcome, CASES.c.prediction, CASES.c.revision)
            .where(CASES.c.outcome.is_not(None))
            .order_by(CASES.c.id)
        ).all()
    rows = [row for row in rows if is_label(row.outcome)]
    if not rows:
        raise ConfigError(
            "No case has been settled on a label yet; there is nothing to export.",
            hint="Two readers must agree on a case first.",
        )
    names = sorted({label for row in rows for label in labels_of(json.loads(row.prediction))})
    schema = _schema(names)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with atomic_path(folder / TABLE) as fresh, pq.ParquetWriter(fresh, schema) as writer:
            for row in rows:  # one picture in memory at a time
                picture = store.picture(row.id)
                written = {
                    "image": {"bytes": picture, "path": f"{row.id}.jpg"},
                    "label": names.index(row.outcome),
                    "id": row.id,
                    "source": "review",
                    "group": hashlib.sha256(picture).hexdigest()[:32],
                    "revision": row.revision,
                }
                writer.write_table(pa.Table.from_pylist([written], schema=schema))
        with atomic_path(folder / AUDIT) as fresh:
            lines = [json.dumps(_audit(store, row.id, row.outcome), allow_nan=False) for row in rows]
            fresh.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written ({error.strerror}).", hint="Choose another folder."
        ) from error
    return len(rows)


def _schema(names: list[str]) -> pa.Schema:
    """The columns, with the names of the classes where ``datasets`` looks for them."""
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"names": names, "_type": "ClassLabel"},
        **{name: {"dtype": "string", "_type": "Value"} for name in _TEXTS},
    }
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = [("image", picture), ("label", pa.int64()), *((name, pa.string()) for name in _TEXTS)]
    described = json.dumps({"info": {"features": features}}, allow_nan=False)
    return pa.schema(columns, metadata={"huggingface": described})


def _audit(store: Store, case: str, outcome: str) -> dict[str, Any]:
    with store.begin() as connection:
        trail = connection.execute(
            sa.select(TRAIL.c.created, TRAIL.c.who, TRAIL.c.action)
            .where(TRAIL.c.case_id == case)
            .order_by(TRAIL.c.id)
        ).mappings()
        readings = connection.execute(
            sa.select(READINGS.c.reader, READINGS.c.created, READINGS.c.decision, READINGS.c.outcome)
            .where(READINGS.c.case_id == case)
            .order_by(READINGS.c.place)
        ).mappings()
        return {
            "case": case,
            "outcome": outcome,
            "readings": [dict(row) for row in readings],
            "trail": [dict(row) for row in trail],
        }

"""The tables of the review queue, as the newest migration leaves them."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

CASES = sa.Table(
    "review_cases",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),  # random
    sa.Column("created", sa.String(20), nullable=False),  # UTC, as 2026-11-29T07:30:00Z
    sa.Column("picture", sa.LargeBinary, nullable=False),  # encrypted
    sa.Column("prediction", sa.Text, nullable=False),  # JSON, without heat map
    sa.Column("revision", sa.String(128), nullable=False),  # of the checkpoint
    sa.Column("entropy", sa.Float, nullable=False),  # of the prediction, nats
    sa.Column("outcome", sa.String(128)),  # null until the readings settle it
    sa.Index("review_cases_waiting", "outcome", "entropy"),
)
READINGS = sa.Table(
    "review_readings",
    METADATA,
    sa.Column(
        "case_id", sa.String(32), sa.ForeignKey("review_cases.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("reader", sa.String(64), primary_key=True),  # the name of a key
    sa.Column("created", sa.String(20), nullable=False),
    sa.Column("place", sa.Integer, nullable=False),  # 1, 2 or 3: in the order in which they came
    sa.Column("decision", sa.String(16), nullable=False),
    sa.Column("outcome", sa.String(128), nullable=False),
    sa.Column("note", sa.LargeBinary),  # encrypted
    sa.UniqueConstraint("case_id", "place"),
)
# No foreign key: what was done stays known after a case is deleted.
TRAIL = sa.Table(
    "review_trail",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("created", sa.String(20), nullable=False),
    sa.Column("case_id", sa.String(32), nullable=False),
    sa.Column("who", sa.String(64)),  # the name of a key; null for a command or the server itself
    sa.Column("action", sa.String(16), nullable=False),
)

"""Cases, readings and the trail."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "review_cases",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("created", sa.String(20), nullable=False),
        sa.Column("picture", sa.LargeBinary, nullable=False),
        sa.Column("prediction", sa.Text, nullable=False),
        sa.Column("revision", sa.String(128), nullable=False),
        sa.Column("entropy", sa.Float, nullable=False),
        sa.Column("outcome", sa.String(128)),
    )
    op.create_index("review_cases_waiting", "review_cases", ["outcome", "entropy"])
    op.create_table(
        "review_readings",
        sa.Column(
            "case_id", sa.String(32), sa.ForeignKey("review_cases.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("reader", sa.String(64), primary_key=True),
        sa.Column("created", sa.String(20), nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(128), nullable=False),
        sa.Column("note", sa.LargeBinary),
        sa.UniqueConstraint("case_id", "place"),
    )
    op.create_table(
        "review_trail",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("created", sa.String(20), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("who", sa.String(64)),
        sa.Column("action", sa.String(16), nullable=False),
    )

"""What is still to be asked again is found without a scan; who opened a replay's sides is kept.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

from feedback.columns import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_recheck_requested",
        "recheck",
        ["assistant_id", "created_at", "id"],
        sqlite_where=sa.text("state = 'requested'"),
        postgresql_where=sa.text("state = 'requested'"),
    )
    op.create_table(
        "sides_opened",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("replay_id", sa.String(length=26), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sides_opened")),
        sa.ForeignKeyConstraint(
            ["replay_id"], ["replay.id"], name=op.f("fk_sides_opened_replay_id")
        ),
        sa.UniqueConstraint("replay_id", "author", name=op.f("uq_sides_opened_replay_id_author")),
    )
    op.create_index(op.f("ix_sides_opened_replay_id"), "sides_opened", ["replay_id"])


def downgrade() -> None:
    op.drop_table("sides_opened")
    op.drop_index("ix_recheck_requested", "recheck")

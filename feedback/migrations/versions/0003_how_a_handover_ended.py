"""how a hand-over ended.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("handover") as table:
        table.add_column(sa.Column("ended_by_id", sa.String(length=26), nullable=True))
        table.add_column(sa.Column("outcome", sa.String(length=24), nullable=True))
        table.create_foreign_key(op.f("fk_handover_ended_by_id"), "staff", ["ended_by_id"], ["id"])
        table.create_index(op.f("ix_handover_ended_by_id"), ["ended_by_id"])


def downgrade() -> None:
    with op.batch_alter_table("handover") as table:
        table.drop_index(op.f("ix_handover_ended_by_id"))
        table.drop_constraint(op.f("fk_handover_ended_by_id"), type_="foreignkey")
        table.drop_column("outcome")
        table.drop_column("ended_by_id")

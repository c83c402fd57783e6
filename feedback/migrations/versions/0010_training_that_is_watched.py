"""What a training stage measures beside its loss, and what an assistant is trained with.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

COLUMNS = ("more_curves", "figures")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("stage", sa.Column(name, sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("assistant", sa.Column("recipe", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    with op.batch_alter_table("assistant") as table:
        table.drop_column("recipe")
    with op.batch_alter_table("stage") as table:
        for name in COLUMNS:
            table.drop_column(name)

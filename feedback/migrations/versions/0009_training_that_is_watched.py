"""What a training stage measures beside its loss.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMNS = ("more_curves", "figures")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("stage", sa.Column(name, sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    with op.batch_alter_table("stage") as table:
        for name in COLUMNS:
            table.drop_column(name)

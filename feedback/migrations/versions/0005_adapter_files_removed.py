"""when an adapter's files were removed.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("adapter") as table:
        table.add_column(sa.Column("files_removed_at", sa.DateTime(timezone=True), nullable=True))
    # Who spoke with an adapter last, without reading every conversation.
    op.drop_index("ix_conversation_adapter_id", "conversation")
    op.create_index("ix_conversation_voice", "conversation", ["adapter_id", "last_message_at"])


def downgrade() -> None:
    op.drop_index("ix_conversation_voice", "conversation")
    op.create_index("ix_conversation_adapter_id", "conversation", ["adapter_id"])
    with op.batch_alter_table("adapter") as table:
        table.drop_column("files_removed_at")

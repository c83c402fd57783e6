"""policies, redactions, near-copies, holds, erasures; sealed tickets; weights and labels of rows.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

from feedback.columns import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _policy()
    _redaction()
    with op.batch_alter_table("assistant") as table:
        table.add_column(sa.Column("learning", sa.JSON(), nullable=False, server_default="{}"))
    with op.batch_alter_table("feedback") as table:
        _add_ref(table, "feedback", "policy")
    with op.batch_alter_table("ticket") as table:
        _add_ref(table, "ticket", "policy")
        _add_ref(table, "ticket", "feedback")
        table.add_column(
            sa.Column("sealed", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    # In place: a large table, and nothing refers to what is new.
    op.add_column("dataset_item", sa.Column("label", sa.Boolean(), nullable=True))
    op.add_column(
        "dataset_item", sa.Column("weight", sa.Float(), nullable=False, server_default="1")
    )
    op.add_column("dataset_item", sa.Column("edit", sa.String(length=24), nullable=True))
    op.add_column("dataset_item", sa.Column("erased_at", UtcDateTime(), nullable=True))
    op.add_column("dataset", sa.Column("frozen_at", UtcDateTime(), nullable=True))
    op.execute("UPDATE dataset SET frozen_at = created_at")
    op.add_column(
        "eval_run", sa.Column("sealed", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    _near_copy()
    _hold()
    _erasure()


def _add_ref(table: BatchOperations, name: str, to: str) -> None:
    column = f"{to}_id"
    table.add_column(sa.Column(column, sa.String(length=26), nullable=True))
    table.create_index(f"ix_{name}_{column}", [column])
    table.create_foreign_key(f"fk_{name}_{column}", to, [column], ["id"])


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.String(length=26), nullable=False)


def _refs(name: str, *to: str) -> list[sa.Constraint]:
    return [
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        *(
            sa.ForeignKeyConstraint(
                [f"{each}_id"], [f"{each}.id"], name=op.f(f"fk_{name}_{each}_id")
            )
            for each in to
        ),
    ]


def _index(name: str, *columns: str) -> None:
    for column in columns:
        op.create_index(op.f(f"ix_{name}_{column}"), name, [column])


def _policy() -> None:
    op.create_table(
        "policy",
        _id(),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("retired_by", sa.String(length=200), nullable=True),
        sa.Column("retired_at", UtcDateTime(), nullable=True),
        sa.UniqueConstraint("assistant_id", "name", name=op.f("uq_policy_assistant_id_name")),
        *_refs("policy", "assistant"),
    )
    _index("policy", "assistant_id")


def _redaction() -> None:
    op.create_table(
        "redaction",
        sa.Column("text_sha256", sa.String(length=64), nullable=False),
        sa.Column("rules", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("text_sha256", "rules", name=op.f("pk_redaction")),
    )


def _near_copy() -> None:
    op.create_table(
        "near_copy",
        _id(),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("feedback_id", sa.String(length=26), nullable=False),
        sa.Column("ticket_id", sa.String(length=26), nullable=False),
        sa.Column("similarity", sa.Float(), nullable=False),
        sa.Column("method", sa.String(length=24), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.UniqueConstraint(
            "feedback_id", "ticket_id", name=op.f("uq_near_copy_feedback_id_ticket_id")
        ),
        *_refs("near_copy", "assistant", "feedback", "ticket"),
    )
    _index("near_copy", "assistant_id", "feedback_id", "ticket_id")


def _hold() -> None:
    op.create_table(
        "hold",
        _id(),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("outcome", sa.String(length=24), nullable=True),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        *_refs("hold", "assistant"),
    )
    _index("hold", "assistant_id", "author")


def _erasure() -> None:
    op.create_table(
        "erasure",
        _id(),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("customer_sha256", sa.String(length=64), nullable=False),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("certificate", sa.JSON(), nullable=False),
        sa.Column("cycle_id", sa.String(length=26), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        *_refs("erasure", "assistant", "cycle"),
    )
    _index("erasure", "assistant_id", "customer_sha256", "cycle_id")


def downgrade() -> None:
    for name in ("erasure", "hold", "near_copy"):
        op.drop_table(name)
    op.drop_column("eval_run", "sealed")
    op.drop_column("dataset", "frozen_at")
    for column in ("erased_at", "edit", "weight", "label"):
        op.drop_column("dataset_item", column)
    with op.batch_alter_table("ticket") as table:
        table.drop_column("sealed")
        _drop_ref(table, "ticket", "feedback")
        _drop_ref(table, "ticket", "policy")
    with op.batch_alter_table("feedback") as table:
        _drop_ref(table, "feedback", "policy")
    with op.batch_alter_table("assistant") as table:
        table.drop_column("learning")
    op.drop_table("redaction")
    op.drop_table("policy")


def _drop_ref(table: BatchOperations, name: str, to: str) -> None:
    table.drop_constraint(f"fk_{name}_{to}_id", type_="foreignkey")
    table.drop_index(f"ix_{name}_{to}_id")
    table.drop_column(f"{to}_id")

"""promotions are asked for; trials; proposed tickets; which engine and which run of it.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _promotion_request()
    _trial()
    _ticket_proposal()
    _search_leaves_out("writing", "draft", "shadow")
    with op.batch_alter_table("assistant") as table:
        table.add_column(sa.Column("swap", sa.JSON(), nullable=False, server_default="{}"))
    # In place: SQLite would rewrite the two largest tables, and lose the search's triggers.
    op.add_column("conversation", sa.Column("trial_id", sa.String(length=26), nullable=True))
    op.add_column("conversation", sa.Column("trial_arm", sa.String(length=12), nullable=True))
    op.add_column("conversation", sa.Column("trial_share", sa.Float(), nullable=True))
    op.create_index(op.f("ix_conversation_trial_id"), "conversation", ["trial_id"])
    op.add_column("message", sa.Column("engine", sa.String(length=200), nullable=True))
    with op.batch_alter_table("promotion") as table:
        table.add_column(
            sa.Column("rolls_back", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("swap") as table:
        table.add_column(sa.Column("boot", sa.String(length=64), nullable=False, server_default=""))


def _search_leaves_out(*states: str) -> None:
    """SQLite's search is filled by triggers; PostgreSQL's query leaves out by itself."""
    if op.get_bind().dialect.name != "sqlite":
        return
    unseen = ", ".join(f"'{state}'" for state in states)
    add = (
        "INSERT INTO message_search (message_id, conversation_id, assistant_id, text) "
        "SELECT new.id, new.conversation_id, conversation.assistant_id, new.text FROM conversation "
        "WHERE conversation.id = new.conversation_id"
    )
    for name, when in (
        ("said AFTER INSERT", f"new.state NOT IN ({unseen})"),
        (
            "answered AFTER UPDATE OF state",
            f"old.state = 'writing' AND new.state NOT IN ({unseen})",
        ),
    ):
        op.execute(f"DROP TRIGGER message_search_{name.split()[0]}")
        op.execute(f"CREATE TRIGGER message_search_{name} ON message WHEN {when} BEGIN {add}; END")


def _promotion_request() -> None:
    op.create_table(
        "promotion_request",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("adapter_id", sa.String(length=26), nullable=True),
        sa.Column("decision_id", sa.String(length=26), nullable=True),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rolls_back", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("promotion_id", sa.String(length=26), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        *_keys("promotion_request", assistant_id="assistant", adapter_id="adapter",
               decision_id="decision", promotion_id="promotion"),
    )  # fmt: skip
    _indexes("promotion_request", "assistant_id", "adapter_id", "decision_id", "promotion_id")


def _trial() -> None:
    op.create_table(
        "trial",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("adapter_id", sa.String(length=26), nullable=False),
        sa.Column("live_adapter_id", sa.String(length=26), nullable=True),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("verdict", sa.String(length=24), nullable=False),
        sa.Column("started_by", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("ended_by", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        *_keys("trial", assistant_id="assistant", adapter_id="adapter", live_adapter_id="adapter"),
    )
    _indexes("trial", "assistant_id", "adapter_id", "live_adapter_id")


def _ticket_proposal() -> None:
    op.create_table(
        "ticket_proposal",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("message_id", sa.String(length=26), nullable=False),
        sa.Column("trial_id", sa.String(length=26), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("ticket_id", sa.String(length=26), nullable=True),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.UniqueConstraint("message_id", name=op.f("uq_ticket_proposal_message_id")),
        *_keys("ticket_proposal", assistant_id="assistant", message_id="message",
               trial_id="trial", ticket_id="ticket"),
    )  # fmt: skip
    _indexes("ticket_proposal", "assistant_id", "trial_id", "ticket_id")


def _keys(table: str, **refers_to: str) -> list[sa.Constraint]:
    foreign = [
        sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}"))
        for column, other in refers_to.items()
    ]
    return [*foreign, sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}"))]


def _indexes(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def downgrade() -> None:
    _search_leaves_out("writing", "draft")
    for table, column in (
        ("swap", "boot"),
        ("promotion", "rolls_back"),
        ("assistant", "swap"),
    ):
        with op.batch_alter_table(table) as batch:
            batch.drop_column(column)
    op.drop_column("message", "engine")
    op.drop_index(op.f("ix_conversation_trial_id"), "conversation")
    for column in ("trial_share", "trial_arm", "trial_id"):
        op.drop_column("conversation", column)
    for name in ("ticket_proposal", "trial", "promotion_request"):
        op.drop_table(name)

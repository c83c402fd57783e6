"""What exams expect, what a look costs, topics that keep their adapter, replays, votes, judgements.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

from feedback.columns import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # In place where nothing refers to what is new: conversations and exam answers are large tables.
    op.add_column("conversation", sa.Column("topic_by", sa.String(length=200), nullable=True))
    _ticket()
    op.add_column("eval_run", _json("sampling", "{}"))
    _exam_answer()
    _decision()
    op.add_column(
        "ticket_proposal",
        sa.Column("origin", sa.String(length=24), nullable=False, server_default="rollback"),
    )
    op.create_index("ix_recheck_finished", "recheck", ["assistant_id", "finished_at"])
    op.add_column("promotion_request", _json("except_topics", "[]"))
    with op.batch_alter_table("promotion") as table:
        table.add_column(_json("except_topics", "[]"))
        _add_ref(table, "promotion", "except_adapter", "adapter")
    _replay()
    _replay_turn()
    _vote()
    _judgement()
    _judge_check()


def _json(name: str, default: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False, server_default=default)


def _add_ref(table: BatchOperations, name: str, column: str, to: str) -> None:
    table.add_column(sa.Column(f"{column}_id", sa.String(length=26), nullable=True))
    table.create_index(f"ix_{name}_{column}_id", [f"{column}_id"])
    table.create_foreign_key(f"fk_{name}_{column}_id", to, [f"{column}_id"], ["id"])


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.String(length=26), nullable=False)


def _ref(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=26), nullable=nullable)


def _time(name: str = "created_at", nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, UtcDateTime(), nullable=nullable)


def _refs(name: str, **to: str) -> list[sa.Constraint]:
    return [
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        *(
            sa.ForeignKeyConstraint([column], [f"{table}.id"], name=op.f(f"fk_{name}_{column}"))
            for column, table in to.items()
        ),
    ]


def _index(name: str, *columns: str) -> None:
    for column in columns:
        op.create_index(op.f(f"ix_{name}_{column}"), name, [column])


def _ticket() -> None:
    op.add_column(
        "ticket",
        sa.Column("expects", sa.String(length=24), nullable=False, server_default="answer"),
    )
    op.add_column(
        "ticket",
        sa.Column("origin", sa.String(length=24), nullable=False, server_default="written"),
    )
    op.execute("UPDATE ticket SET origin = 'correction' WHERE feedback_id IS NOT NULL")


def _exam_answer() -> None:
    op.add_column("exam_answer", sa.Column("topic", sa.String(length=120), nullable=True))
    op.add_column("exam_answer", sa.Column("mean_logprob", sa.Float(), nullable=True))
    op.add_column("exam_answer", sa.Column("cache_key", sa.String(length=64), nullable=True))
    op.add_column(
        "exam_answer", sa.Column("cached", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index("ix_exam_answer_cache_key", "exam_answer", ["cache_key"])


def _decision() -> None:
    op.add_column("decision", sa.Column("alpha", sa.Float(), nullable=True))
    op.add_column("decision", sa.Column("evidence", sa.Float(), nullable=True))
    op.add_column("decision", _json("guardrails", "[]"))
    op.add_column("decision", _json("losing_topics", "[]"))
    op.add_column("decision", _json("detail", "{}"))


def _replay() -> None:
    op.create_table(
        "replay",
        _id(),
        _ref("assistant_id"),
        _ref("adapter_id", nullable=True),
        _ref("against_id", nullable=True),
        _time("since"),
        _time("until"),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("eta_seconds", sa.Float(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        _time("lease_until", nullable=True),
        _time(),
        _time("finished_at", nullable=True),
        *_refs("replay", assistant_id="assistant", adapter_id="adapter", against_id="adapter"),
    )
    _index("replay", "assistant_id", "adapter_id", "against_id")


def _replay_turn() -> None:
    op.create_table(
        "replay_turn",
        _id(),
        _ref("replay_id"),
        _ref("message_id"),
        sa.Column("candidate_text", sa.Text(), nullable=True),
        sa.Column("live_text", sa.Text(), nullable=True),
        sa.Column("likeness", sa.Float(), nullable=True),
        sa.Column("candidate_first", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        _time(),
        sa.UniqueConstraint(
            "replay_id", "message_id", name=op.f("uq_replay_turn_replay_id_message_id")
        ),
        *_refs("replay_turn", replay_id="replay", message_id="message"),
    )
    _index("replay_turn", "replay_id", "message_id")


def _vote() -> None:
    op.create_table(
        "vote",
        _id(),
        _ref("replay_turn_id"),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("choice", sa.String(length=24), nullable=True),
        _time(),
        sa.UniqueConstraint("replay_turn_id", "author", name=op.f("uq_vote_replay_turn_id_author")),
        *_refs("vote", replay_turn_id="replay_turn"),
    )
    _index("vote", "replay_turn_id")


def _judgement() -> None:
    op.create_table(
        "judgement",
        _id(),
        _ref("candidate_answer_id"),
        _ref("live_answer_id"),
        sa.Column("judge", sa.String(length=200), nullable=False),
        sa.Column("choice", sa.String(length=24), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        _time(),
        sa.UniqueConstraint(
            "candidate_answer_id",
            "live_answer_id",
            "judge",
            name=op.f("uq_judgement_candidate_answer_id_live_answer_id_judge"),
        ),
        *_refs("judgement", candidate_answer_id="exam_answer", live_answer_id="exam_answer"),
    )
    _index("judgement", "candidate_answer_id", "live_answer_id")


def _judge_check() -> None:
    op.create_table(
        "judge_check",
        _id(),
        _ref("assistant_id", nullable=True),
        sa.Column("judge", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=24), nullable=False),
        sa.Column("pairs", sa.Integer(), nullable=False),
        sa.Column("agreed", sa.Integer(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        _time(),
        *_refs("judge_check", assistant_id="assistant"),
    )
    _index("judge_check", "assistant_id")


def downgrade() -> None:
    for table in ("judge_check", "judgement", "vote", "replay_turn", "replay"):
        op.drop_table(table)
    with op.batch_alter_table("promotion") as batch:
        batch.drop_constraint("fk_promotion_except_adapter_id", type_="foreignkey")
        batch.drop_index("ix_promotion_except_adapter_id")
        batch.drop_column("except_adapter_id")
        batch.drop_column("except_topics")
    op.drop_column("promotion_request", "except_topics")
    op.drop_index("ix_recheck_finished", "recheck")
    op.drop_column("ticket_proposal", "origin")
    op.drop_index("ix_exam_answer_cache_key", "exam_answer")
    for table, columns in {
        "decision": ("detail", "losing_topics", "guardrails", "evidence", "alpha"),
        "exam_answer": ("cached", "cache_key", "mean_logprob", "topic"),
        "eval_run": ("sampling",),
        "ticket": ("origin", "expects"),
        "conversation": ("topic_by",),
    }.items():
        for column in columns:
            op.drop_column(table, column)

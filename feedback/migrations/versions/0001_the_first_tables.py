"""the first tables.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assistant",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("base_model", sa.String(length=400), nullable=False),
        sa.Column("topics", sa.JSON(), nullable=False),
        sa.Column("sampling", sa.JSON(), nullable=False),
        sa.Column("gate", sa.JSON(), nullable=False),
        sa.Column("auto_promote", sa.Boolean(), nullable=False),
        sa.Column("schedule_minutes", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assistant")),
        sa.UniqueConstraint("name", name=op.f("uq_assistant_name")),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=24), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=True),
        sa.Column("hint", sa.String(length=12), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_api_key_assistant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_key_sha256")),
    )
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_key_assistant_id"), ["assistant_id"], unique=False)

    op.create_table(
        "customer",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_customer_assistant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer")),
        sa.UniqueConstraint(
            "assistant_id", "external_id", name=op.f("uq_customer_assistant_id_external_id")
        ),
    )
    with op.batch_alter_table("customer", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_customer_assistant_id"), ["assistant_id"], unique=False
        )

    op.create_table(
        "cycle",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("stop_requested_by", sa.String(length=200), nullable=True),
        sa.Column("lease_owner", sa.String(length=120), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_cycle_assistant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cycle")),
    )
    with op.batch_alter_table("cycle", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_cycle_assistant_id"), ["assistant_id"], unique=False)

    op.create_table(
        "dataset",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("train_rows", sa.Integer(), nullable=False),
        sa.Column("validation_rows", sa.Integer(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_dataset_assistant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset")),
        sa.UniqueConstraint(
            "assistant_id", "kind", "sha256", name=op.f("uq_dataset_assistant_id_kind_sha256")
        ),
    )
    with op.batch_alter_table("dataset", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dataset_assistant_id"), ["assistant_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_dataset_name"), ["name"], unique=False)

    op.create_table(
        "prompt",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_prompt_assistant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt")),
        sa.UniqueConstraint("assistant_id", "version", name=op.f("uq_prompt_assistant_id_version")),
    )
    with op.batch_alter_table("prompt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_prompt_assistant_id"), ["assistant_id"], unique=False)

    op.create_table(
        "adapter",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("cycle_id", sa.String(length=26), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("base_model", sa.String(length=400), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_adapter_assistant_id")
        ),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_adapter_cycle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adapter")),
        sa.UniqueConstraint(
            "assistant_id", "version", name=op.f("uq_adapter_assistant_id_version")
        ),
        sa.UniqueConstraint("name", name=op.f("uq_adapter_name")),
    )
    with op.batch_alter_table("adapter", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_adapter_assistant_id"), ["assistant_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_adapter_cycle_id"), ["cycle_id"], unique=False)

    op.create_table(
        "dataset_item",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("dataset_id", sa.String(length=26), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(length=24), nullable=False),
        sa.Column("prompt", sa.JSON(), nullable=False),
        sa.Column("chosen", sa.Text(), nullable=False),
        sa.Column("rejected", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name=op.f("fk_dataset_item_dataset_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_item")),
        sa.UniqueConstraint(
            "dataset_id", "position", name=op.f("uq_dataset_item_dataset_id_position")
        ),
    )
    with op.batch_alter_table("dataset_item", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_dataset_item_dataset_id"), ["dataset_id"], unique=False
        )

    op.create_table(
        "stage",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("cycle_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("eta_seconds", sa.Float(), nullable=True),
        sa.Column("loss", sa.Float(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_stage_cycle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage")),
        sa.UniqueConstraint("cycle_id", "name", name=op.f("uq_stage_cycle_id_name")),
    )
    with op.batch_alter_table("stage", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stage_cycle_id"), ["cycle_id"], unique=False)

    op.create_table(
        "adapter_dataset",
        sa.Column("adapter_id", sa.String(length=26), nullable=False),
        sa.Column("dataset_id", sa.String(length=26), nullable=False),
        sa.Column("stage", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(
            ["adapter_id"], ["adapter.id"], name=op.f("fk_adapter_dataset_adapter_id")
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name=op.f("fk_adapter_dataset_dataset_id")
        ),
        sa.PrimaryKeyConstraint("adapter_id", "dataset_id", name=op.f("pk_adapter_dataset")),
    )
    with op.batch_alter_table("adapter_dataset", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_adapter_dataset_dataset_id"), ["dataset_id"], unique=False
        )

    op.create_table(
        "conversation",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("customer_id", sa.String(length=26), nullable=True),
        sa.Column("adapter_id", sa.String(length=26), nullable=True),
        sa.Column("api_key_id", sa.String(length=26), nullable=True),
        sa.Column("channel", sa.String(length=24), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=True),
        sa.Column("topic", sa.String(length=120), nullable=True),
        sa.Column("transcript_sha256", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["adapter_id"], ["adapter.id"], name=op.f("fk_conversation_adapter_id")
        ),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_key.id"], name=op.f("fk_conversation_api_key_id")
        ),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_conversation_assistant_id")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_conversation_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversation")),
        sa.UniqueConstraint(
            "assistant_id", "external_id", name=op.f("uq_conversation_assistant_id_external_id")
        ),
    )
    with op.batch_alter_table("conversation", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_conversation_adapter_id"), ["adapter_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_conversation_api_key_id"), ["api_key_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_conversation_assistant_id"), ["assistant_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_conversation_customer_id"), ["customer_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_conversation_transcript_sha256"), ["transcript_sha256"], unique=False
        )

    op.create_table(
        "eval_run",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("cycle_id", sa.String(length=26), nullable=True),
        sa.Column("adapter_id", sa.String(length=26), nullable=True),
        sa.Column("prompt_id", sa.String(length=26), nullable=False),
        sa.Column("tickets", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["adapter_id"], ["adapter.id"], name=op.f("fk_eval_run_adapter_id")
        ),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_eval_run_assistant_id")
        ),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_eval_run_cycle_id")),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompt.id"], name=op.f("fk_eval_run_prompt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_eval_run")),
    )
    with op.batch_alter_table("eval_run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_eval_run_adapter_id"), ["adapter_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_eval_run_assistant_id"), ["assistant_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_eval_run_cycle_id"), ["cycle_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_eval_run_prompt_id"), ["prompt_id"], unique=False)

    op.create_table(
        "swap",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("adapter_id", sa.String(length=26), nullable=False),
        sa.Column("engine", sa.String(length=200), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("load_ms", sa.Integer(), nullable=True),
        sa.Column("probe_difference", sa.Float(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["adapter_id"], ["adapter.id"], name=op.f("fk_swap_adapter_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_swap")),
    )
    with op.batch_alter_table("swap", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_swap_adapter_id"), ["adapter_id"], unique=False)

    op.create_table(
        "decision",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("cycle_id", sa.String(length=26), nullable=True),
        sa.Column("candidate_run_id", sa.String(length=26), nullable=False),
        sa.Column("live_run_id", sa.String(length=26), nullable=False),
        sa.Column("promote", sa.Boolean(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("metric", sa.String(length=40), nullable=False),
        sa.Column("tickets", sa.Integer(), nullable=False),
        sa.Column("gain", sa.Float(), nullable=True),
        sa.Column("gain_low", sa.Float(), nullable=True),
        sa.Column("gain_high", sa.Float(), nullable=True),
        sa.Column("gate", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_decision_assistant_id")
        ),
        sa.ForeignKeyConstraint(
            ["candidate_run_id"], ["eval_run.id"], name=op.f("fk_decision_candidate_run_id")
        ),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_decision_cycle_id")),
        sa.ForeignKeyConstraint(
            ["live_run_id"], ["eval_run.id"], name=op.f("fk_decision_live_run_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_decision_assistant_id"), ["assistant_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_decision_candidate_run_id"), ["candidate_run_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_decision_cycle_id"), ["cycle_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_decision_live_run_id"), ["live_run_id"], unique=False)

    op.create_table(
        "message",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("conversation_id", sa.String(length=26), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("speaker", sa.String(length=24), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=True),
        sa.Column("author", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reply_to_id", sa.String(length=26), nullable=True),
        sa.Column("adapter_id", sa.String(length=26), nullable=True),
        sa.Column("adapter_digest", sa.String(length=64), nullable=True),
        sa.Column("prompt_id", sa.String(length=26), nullable=True),
        sa.Column("base_model", sa.String(length=400), nullable=True),
        sa.Column("sampling", sa.JSON(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("time_to_first_token_ms", sa.Integer(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.Column("finish_reason", sa.String(length=24), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("writer", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["adapter_id"], ["adapter.id"], name=op.f("fk_message_adapter_id")),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name=op.f("fk_message_conversation_id")
        ),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompt.id"], name=op.f("fk_message_prompt_id")),
        sa.ForeignKeyConstraint(
            ["reply_to_id"], ["message.id"], name=op.f("fk_message_reply_to_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint(
            "conversation_id",
            "idempotency_key",
            name=op.f("uq_message_conversation_id_idempotency_key"),
        ),
        sa.UniqueConstraint(
            "conversation_id", "position", name=op.f("uq_message_conversation_id_position")
        ),
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_message_adapter_id"), ["adapter_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_message_conversation_id"), ["conversation_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_message_prompt_id"), ["prompt_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_message_reply_to_id"), ["reply_to_id"], unique=False)

    op.create_table(
        "ticket",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=False),
        sa.Column("conversation_id", sa.String(length=26), nullable=True),
        sa.Column("customer_id", sa.String(length=26), nullable=True),
        sa.Column("topic", sa.String(length=120), nullable=True),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("must_say", sa.JSON(), nullable=False),
        sa.Column("must_not_say", sa.JSON(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_ticket_assistant_id")
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name=op.f("fk_ticket_conversation_id")
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_ticket_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket")),
        sa.UniqueConstraint(
            "assistant_id", "external_id", name=op.f("uq_ticket_assistant_id_external_id")
        ),
    )
    with op.batch_alter_table("ticket", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ticket_assistant_id"), ["assistant_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_ticket_conversation_id"), ["conversation_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_ticket_customer_id"), ["customer_id"], unique=False)

    op.create_table(
        "exam_answer",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("eval_run_id", sa.String(length=26), nullable=False),
        sa.Column("ticket_id", sa.String(length=26), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["eval_run_id"], ["eval_run.id"], name=op.f("fk_exam_answer_eval_run_id")
        ),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["ticket.id"], name=op.f("fk_exam_answer_ticket_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exam_answer")),
        sa.UniqueConstraint(
            "eval_run_id", "ticket_id", name=op.f("uq_exam_answer_eval_run_id_ticket_id")
        ),
    )
    with op.batch_alter_table("exam_answer", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_exam_answer_eval_run_id"), ["eval_run_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_exam_answer_ticket_id"), ["ticket_id"], unique=False)

    op.create_table(
        "feedback",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("message_id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("value", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=24), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("author_role", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("supersedes_id", sa.String(length=26), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name=op.f("fk_feedback_message_id")
        ),
        sa.ForeignKeyConstraint(
            ["supersedes_id"], ["feedback.id"], name=op.f("fk_feedback_supersedes_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
    )
    with op.batch_alter_table("feedback", schema=None) as batch_op:
        batch_op.create_index(
            "ix_feedback_kind_state_created", ["kind", "state", "created_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_feedback_message_id"), ["message_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_feedback_supersedes_id"), ["supersedes_id"], unique=False
        )

    op.create_table(
        "promotion",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("adapter_id", sa.String(length=26), nullable=True),
        sa.Column("decision_id", sa.String(length=26), nullable=True),
        sa.Column("approved_by", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["adapter_id"], ["adapter.id"], name=op.f("fk_promotion_adapter_id")
        ),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_promotion_assistant_id")
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decision.id"], name=op.f("fk_promotion_decision_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion")),
        sa.UniqueConstraint(
            "assistant_id", "sequence", name=op.f("uq_promotion_assistant_id_sequence")
        ),
    )
    with op.batch_alter_table("promotion", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_promotion_adapter_id"), ["adapter_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_promotion_assistant_id"), ["assistant_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_promotion_decision_id"), ["decision_id"], unique=False)

    op.create_table(
        "item_source",
        sa.Column("item_id", sa.String(length=26), nullable=False),
        sa.Column("feedback_id", sa.String(length=26), nullable=False),
        sa.ForeignKeyConstraint(
            ["feedback_id"], ["feedback.id"], name=op.f("fk_item_source_feedback_id")
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["dataset_item.id"], name=op.f("fk_item_source_item_id")
        ),
        sa.PrimaryKeyConstraint("item_id", "feedback_id", name=op.f("pk_item_source")),
    )
    with op.batch_alter_table("item_source", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_item_source_feedback_id"), ["feedback_id"], unique=False
        )

    op.create_table(
        "score",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("exam_answer_id", sa.String(length=26), nullable=False),
        sa.Column("metric", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["exam_answer_id"], ["exam_answer.id"], name=op.f("fk_score_exam_answer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score")),
    )
    with op.batch_alter_table("score", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_score_exam_answer_id"), ["exam_answer_id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("score", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_score_exam_answer_id"))

    op.drop_table("score")
    with op.batch_alter_table("item_source", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_item_source_feedback_id"))

    op.drop_table("item_source")
    with op.batch_alter_table("promotion", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_promotion_decision_id"))
        batch_op.drop_index(batch_op.f("ix_promotion_assistant_id"))
        batch_op.drop_index(batch_op.f("ix_promotion_adapter_id"))

    op.drop_table("promotion")
    with op.batch_alter_table("feedback", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_feedback_supersedes_id"))
        batch_op.drop_index(batch_op.f("ix_feedback_message_id"))
        batch_op.drop_index("ix_feedback_kind_state_created")

    op.drop_table("feedback")
    with op.batch_alter_table("exam_answer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_exam_answer_ticket_id"))
        batch_op.drop_index(batch_op.f("ix_exam_answer_eval_run_id"))

    op.drop_table("exam_answer")
    with op.batch_alter_table("ticket", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ticket_customer_id"))
        batch_op.drop_index(batch_op.f("ix_ticket_conversation_id"))
        batch_op.drop_index(batch_op.f("ix_ticket_assistant_id"))

    op.drop_table("ticket")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_message_reply_to_id"))
        batch_op.drop_index(batch_op.f("ix_message_prompt_id"))
        batch_op.drop_index(batch_op.f("ix_message_conversation_id"))
        batch_op.drop_index(batch_op.f("ix_message_adapter_id"))

    op.drop_table("message")
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_decision_live_run_id"))
        batch_op.drop_index(batch_op.f("ix_decision_cycle_id"))
        batch_op.drop_index(batch_op.f("ix_decision_candidate_run_id"))
        batch_op.drop_index(batch_op.f("ix_decision_assistant_id"))

    op.drop_table("decision")
    with op.batch_alter_table("swap", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_swap_adapter_id"))

    op.drop_table("swap")
    with op.batch_alter_table("eval_run", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_eval_run_prompt_id"))
        batch_op.drop_index(batch_op.f("ix_eval_run_cycle_id"))
        batch_op.drop_index(batch_op.f("ix_eval_run_assistant_id"))
        batch_op.drop_index(batch_op.f("ix_eval_run_adapter_id"))

    op.drop_table("eval_run")
    with op.batch_alter_table("conversation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_conversation_transcript_sha256"))
        batch_op.drop_index(batch_op.f("ix_conversation_customer_id"))
        batch_op.drop_index(batch_op.f("ix_conversation_assistant_id"))
        batch_op.drop_index(batch_op.f("ix_conversation_api_key_id"))
        batch_op.drop_index(batch_op.f("ix_conversation_adapter_id"))

    op.drop_table("conversation")
    with op.batch_alter_table("adapter_dataset", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_adapter_dataset_dataset_id"))

    op.drop_table("adapter_dataset")
    with op.batch_alter_table("stage", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_stage_cycle_id"))

    op.drop_table("stage")
    with op.batch_alter_table("dataset_item", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dataset_item_dataset_id"))

    op.drop_table("dataset_item")
    with op.batch_alter_table("adapter", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_adapter_cycle_id"))
        batch_op.drop_index(batch_op.f("ix_adapter_assistant_id"))

    op.drop_table("adapter")
    with op.batch_alter_table("prompt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_prompt_assistant_id"))

    op.drop_table("prompt")
    with op.batch_alter_table("dataset", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dataset_name"))
        batch_op.drop_index(batch_op.f("ix_dataset_assistant_id"))

    op.drop_table("dataset")
    with op.batch_alter_table("cycle", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_cycle_assistant_id"))

    op.drop_table("cycle")
    with op.batch_alter_table("customer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_customer_assistant_id"))

    op.drop_table("customer")
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_key_assistant_id"))

    op.drop_table("api_key")
    op.drop_table("assistant")

"""the support desk.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

EPOCH = "1970-01-01 00:00:00+00"


def _fill() -> None:
    """What lists show of the conversations that are there already."""
    op.execute(
        "UPDATE conversation SET "
        "last_message_at = COALESCE((SELECT max(message.created_at) FROM message "
        "WHERE message.conversation_id = conversation.id), created_at), "
        "last_text = COALESCE((SELECT substr(message.text, 1, 160) FROM message "
        "WHERE message.conversation_id = conversation.id ORDER BY message.position DESC LIMIT 1), ''), "
        "flagged_at = (SELECT max(feedback.created_at) FROM feedback "
        "JOIN message ON message.id = feedback.message_id "
        "WHERE message.conversation_id = conversation.id AND feedback.state = 'active' "
        "AND feedback.author_role = 'customer' AND (feedback.kind = 'flag' OR feedback.value = -1)), "
        "reviewed_at = (SELECT max(feedback.created_at) FROM feedback "
        "JOIN message ON message.id = feedback.message_id "
        "WHERE message.conversation_id = conversation.id "
        "AND feedback.kind IN ('correction', 'approval', 'demonstration'))"
    )
    op.execute("UPDATE conversation SET flagged_at = NULL WHERE reviewed_at > flagged_at")


AUDIT = "audit_entry holds what was done; its rows are never changed or deleted"


def _seal_audit() -> None:
    """The audit log only grows: the database itself says no to anything else."""
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_entry_no_{act.lower()} BEFORE {act} ON audit_entry "
                f"BEGIN SELECT RAISE(ABORT, '{AUDIT}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_entry_is_sealed() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{AUDIT}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_entry_sealed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_is_sealed()"
    )


SEARCHED = (
    "SELECT {0}.id, {0}.conversation_id, conversation.assistant_id, {0}.text FROM conversation"
)


def _search() -> None:
    """Full-text search over what was said: see feedback/search.py."""
    if op.get_bind().dialect.name != "sqlite":
        op.execute("CREATE INDEX message_search ON message USING gin (to_tsvector('simple', text))")
        return
    op.execute(
        "CREATE VIRTUAL TABLE message_search USING fts5(message_id UNINDEXED, "
        "conversation_id UNINDEXED, assistant_id UNINDEXED, text, "
        "tokenize = 'unicode61 remove_diacritics 0')"
    )
    add = "INSERT INTO message_search (message_id, conversation_id, assistant_id, text) "
    of_new = f"{SEARCHED.format('new')} WHERE conversation.id = new.conversation_id"
    op.execute(
        "CREATE TRIGGER message_search_said AFTER INSERT ON message "
        f"WHEN new.state NOT IN ('writing', 'draft') BEGIN {add}{of_new}; END"
    )
    op.execute(
        "CREATE TRIGGER message_search_answered AFTER UPDATE OF state ON message "
        "WHEN old.state = 'writing' AND new.state NOT IN ('writing', 'draft') "
        f"BEGIN {add}{of_new}; END"
    )
    op.execute(
        f"{add}{SEARCHED.format('message')} "
        "JOIN message ON message.conversation_id = conversation.id WHERE message.state <> 'writing' "
        "ORDER BY message.id"
    )


def _no_search() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP INDEX message_search")
        return
    for name in ("said", "answered"):
        op.execute(f"DROP TRIGGER message_search_{name}")
    op.execute("DROP TABLE message_search")


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=24), nullable=False),
        sa.Column("act", sa.String(length=60), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=True),
        sa.Column("subject", sa.String(length=240), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.create_index(
            "ix_audit_entry_assistant", ["assistant_id", "created_at", "id"], unique=False
        )
        batch_op.create_index("ix_audit_entry_newest", ["created_at", "id"], unique=False)

    op.create_table(
        "staff",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("email", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("password_hash", sa.String(length=300), nullable=True),
        sa.Column("openid_issuer", sa.String(length=400), nullable=True),
        sa.Column("openid_subject", sa.String(length=255), nullable=True),
        sa.Column("failed_sign_ins", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_email")),
    )
    op.create_table(
        "password_reset",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("staff_id", sa.String(length=26), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("made_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_password_reset_staff_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_password_reset")),
        sa.UniqueConstraint("sha256", name=op.f("uq_password_reset_sha256")),
    )
    with op.batch_alter_table("password_reset", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_password_reset_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "site",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("origins", sa.JSON(), nullable=False),
        sa.Column("look", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_site_assistant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
        sa.UniqueConstraint("public_key", name=op.f("uq_site_public_key")),
    )
    with op.batch_alter_table("site", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_site_assistant_id"), ["assistant_id"], unique=False)

    op.create_table(
        "staff_role",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("staff_id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=True),
        sa.Column("role", sa.String(length=24), nullable=False),
        sa.Column("granted_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_staff_role_assistant_id")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_role_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_role")),
    )
    with op.batch_alter_table("staff_role", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_staff_role_assistant_id"), ["assistant_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_staff_role_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "staff_session",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("staff_id", sa.String(length=26), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("user_agent", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_session_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_session")),
        sa.UniqueConstraint("sha256", name=op.f("uq_staff_session_sha256")),
    )
    with op.batch_alter_table("staff_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_session_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "handover",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("conversation_id", sa.String(length=26), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("detail", sa.String(length=400), nullable=False),
        sa.Column("out_of_hours", sa.Boolean(), nullable=False),
        sa.Column("taken_by_id", sa.String(length=26), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name=op.f("fk_handover_conversation_id")
        ),
        sa.ForeignKeyConstraint(
            ["taken_by_id"], ["staff.id"], name=op.f("fk_handover_taken_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover")),
    )
    with op.batch_alter_table("handover", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_handover_conversation_id"), ["conversation_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_handover_taken_by_id"), ["taken_by_id"], unique=False)

    op.create_table(
        "review",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("message_id", sa.String(length=26), nullable=False),
        sa.Column("source", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("verdicts_needed", sa.Integer(), nullable=False),
        sa.Column("assigned_to_id", sa.String(length=26), nullable=True),
        sa.Column("locked_by_id", sa.String(length=26), nullable=True),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["assigned_to_id"], ["staff.id"], name=op.f("fk_review_assigned_to_id")
        ),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_review_assistant_id")
        ),
        sa.ForeignKeyConstraint(
            ["locked_by_id"], ["staff.id"], name=op.f("fk_review_locked_by_id")
        ),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_review_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint("message_id", name=op.f("uq_review_message_id")),
    )
    with op.batch_alter_table("review", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_review_assigned_to_id"), ["assigned_to_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_review_assistant_id"), ["assistant_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_review_locked_by_id"), ["locked_by_id"], unique=False)
        batch_op.create_index(
            "ix_review_queue", ["assistant_id", "state", "created_at", "id"], unique=False
        )

    op.create_table(
        "recheck",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("assistant_id", sa.String(length=26), nullable=False),
        sa.Column("feedback_id", sa.String(length=26), nullable=False),
        sa.Column("adapter_id", sa.String(length=26), nullable=True),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("chrf_before", sa.Float(), nullable=True),
        sa.Column("chrf", sa.Float(), nullable=True),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["adapter_id"], ["adapter.id"], name=op.f("fk_recheck_adapter_id")),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistant.id"], name=op.f("fk_recheck_assistant_id")
        ),
        sa.ForeignKeyConstraint(
            ["feedback_id"], ["feedback.id"], name=op.f("fk_recheck_feedback_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recheck")),
    )
    with op.batch_alter_table("recheck", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recheck_adapter_id"), ["adapter_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_recheck_assistant_id"), ["assistant_id"], unique=False)
        batch_op.create_index(
            "ix_recheck_newest", ["feedback_id", "created_at", "id"], unique=False
        )

    op.create_table(
        "review_verdict",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("review_id", sa.String(length=26), nullable=False),
        sa.Column("staff_id", sa.String(length=26), nullable=False),
        sa.Column("verdict", sa.String(length=24), nullable=False),
        sa.Column("feedback_id", sa.String(length=26), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["feedback_id"], ["feedback.id"], name=op.f("fk_review_verdict_feedback_id")
        ),
        sa.ForeignKeyConstraint(
            ["review_id"], ["review.id"], name=op.f("fk_review_verdict_review_id")
        ),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_review_verdict_staff_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_verdict")),
        sa.UniqueConstraint(
            "review_id", "staff_id", name=op.f("uq_review_verdict_review_id_staff_id")
        ),
    )
    with op.batch_alter_table("review_verdict", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_review_verdict_feedback_id"), ["feedback_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_review_verdict_review_id"), ["review_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_review_verdict_staff_id"), ["staff_id"], unique=False)

    with op.batch_alter_table("assistant", schema=None) as batch_op:
        batch_op.add_column(sa.Column("desk", sa.JSON(), nullable=False, server_default="{}"))

    with op.batch_alter_table("conversation", schema=None) as batch_op:
        batch_op.add_column(sa.Column("site_id", sa.String(length=26), nullable=True))
        batch_op.add_column(
            sa.Column("handling", sa.String(length=24), nullable=False, server_default="bot")
        )
        batch_op.add_column(sa.Column("assigned_to_id", sa.String(length=26), nullable=True))
        batch_op.add_column(sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("satisfaction", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column(
                "last_message_at", sa.DateTime(timezone=True), nullable=False, server_default=EPOCH
            )
        )
        batch_op.add_column(
            sa.Column("last_text", sa.String(length=160), nullable=False, server_default="")
        )
        batch_op.add_column(sa.Column("flagged_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("lowest_confidence", sa.Float(), nullable=True))
        batch_op.create_index(
            "ix_conversation_assigned",
            ["assistant_id", "assigned_to_id", "last_message_at", "id"],
            unique=False,
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_conversation_assigned_to_id"), ["assigned_to_id"], unique=False
        )
        batch_op.create_index(
            "ix_conversation_flagged",
            ["assistant_id", "flagged_at", "id"],
            unique=False,
            sqlite_where=sa.text("flagged_at IS NOT NULL"),
            postgresql_where=sa.text("flagged_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_conversation_newest", ["assistant_id", "last_message_at", "id"], unique=False
        )
        batch_op.create_index(
            "ix_conversation_not_reviewed",
            ["assistant_id", "last_message_at", "id"],
            unique=False,
            sqlite_where=sa.text("reviewed_at IS NULL"),
            postgresql_where=sa.text("reviewed_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_conversation_site_id"), ["site_id"], unique=False)
        batch_op.create_index(
            "ix_conversation_unsure",
            ["assistant_id", "lowest_confidence", "id"],
            unique=False,
            sqlite_where=sa.text("reviewed_at IS NULL AND lowest_confidence IS NOT NULL"),
            postgresql_where=sa.text("reviewed_at IS NULL AND lowest_confidence IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_conversation_waiting",
            ["assistant_id", "waiting_since", "id"],
            unique=False,
            sqlite_where=sa.text("handling = 'waiting'"),
            postgresql_where=sa.text("handling = 'waiting'"),
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_conversation_site_id"), "site", ["site_id"], ["id"]
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_conversation_assigned_to_id"), "staff", ["assigned_to_id"], ["id"]
        )

    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.add_column(sa.Column("staff_id", sa.String(length=26), nullable=True))
        batch_op.create_index(batch_op.f("ix_api_key_staff_id"), ["staff_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_api_key_staff_id"), "staff", ["staff_id"], ["id"]
        )

    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.add_column(sa.Column("mean_logprob", sa.Float(), nullable=True))

    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.add_column(sa.Column("topics", sa.JSON(), nullable=False, server_default="[]"))

    with op.batch_alter_table("stage", schema=None) as batch_op:
        batch_op.add_column(sa.Column("curve", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("log_tail", sa.Text(), nullable=False, server_default=""))

    op.create_table(
        "process_report",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("process", sa.String(length=24), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process_report")),
    )

    _fill()
    _seal_audit()
    _search()


def downgrade() -> None:
    _no_search()
    op.drop_table("process_report")
    with op.batch_alter_table("stage", schema=None) as batch_op:
        batch_op.drop_column("log_tail")
        batch_op.drop_column("curve")

    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_column("topics")

    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_api_key_staff_id"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_api_key_staff_id"))
        batch_op.drop_column("staff_id")

    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_column("mean_logprob")

    with op.batch_alter_table("conversation", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_conversation_assigned_to_id"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("fk_conversation_site_id"), type_="foreignkey")
        batch_op.drop_index(
            "ix_conversation_waiting",
            sqlite_where=sa.text("handling = 'waiting'"),
            postgresql_where=sa.text("handling = 'waiting'"),
        )
        batch_op.drop_index(
            "ix_conversation_unsure",
            sqlite_where=sa.text("reviewed_at IS NULL AND lowest_confidence IS NOT NULL"),
            postgresql_where=sa.text("reviewed_at IS NULL AND lowest_confidence IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_conversation_site_id"))
        batch_op.drop_index(
            "ix_conversation_not_reviewed",
            sqlite_where=sa.text("reviewed_at IS NULL"),
            postgresql_where=sa.text("reviewed_at IS NULL"),
        )
        batch_op.drop_index("ix_conversation_newest")
        batch_op.drop_index(
            "ix_conversation_flagged",
            sqlite_where=sa.text("flagged_at IS NOT NULL"),
            postgresql_where=sa.text("flagged_at IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_conversation_assigned_to_id"))
        batch_op.drop_index(
            "ix_conversation_assigned",
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )
        batch_op.drop_column("lowest_confidence")
        batch_op.drop_column("reviewed_at")
        batch_op.drop_column("flagged_at")
        batch_op.drop_column("last_text")
        batch_op.drop_column("last_message_at")
        batch_op.drop_column("satisfaction")
        batch_op.drop_column("closed_at")
        batch_op.drop_column("waiting_since")
        batch_op.drop_column("assigned_to_id")
        batch_op.drop_column("handling")
        batch_op.drop_column("site_id")

    with op.batch_alter_table("assistant", schema=None) as batch_op:
        batch_op.drop_column("desk")

    with op.batch_alter_table("review_verdict", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_review_verdict_staff_id"))
        batch_op.drop_index(batch_op.f("ix_review_verdict_review_id"))
        batch_op.drop_index(batch_op.f("ix_review_verdict_feedback_id"))

    op.drop_table("review_verdict")
    with op.batch_alter_table("recheck", schema=None) as batch_op:
        batch_op.drop_index("ix_recheck_newest")
        batch_op.drop_index(batch_op.f("ix_recheck_assistant_id"))
        batch_op.drop_index(batch_op.f("ix_recheck_adapter_id"))

    op.drop_table("recheck")
    with op.batch_alter_table("review", schema=None) as batch_op:
        batch_op.drop_index("ix_review_queue")
        batch_op.drop_index(batch_op.f("ix_review_locked_by_id"))
        batch_op.drop_index(batch_op.f("ix_review_assistant_id"))
        batch_op.drop_index(batch_op.f("ix_review_assigned_to_id"))

    op.drop_table("review")
    with op.batch_alter_table("handover", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_handover_taken_by_id"))
        batch_op.drop_index(batch_op.f("ix_handover_conversation_id"))

    op.drop_table("handover")
    with op.batch_alter_table("staff_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_staff_session_staff_id"))

    op.drop_table("staff_session")
    with op.batch_alter_table("staff_role", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_staff_role_staff_id"))
        batch_op.drop_index(batch_op.f("ix_staff_role_assistant_id"))

    op.drop_table("staff_role")
    with op.batch_alter_table("site", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_site_assistant_id"))

    op.drop_table("site")
    with op.batch_alter_table("password_reset", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_password_reset_staff_id"))

    op.drop_table("password_reset")
    op.drop_table("staff")
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_entry_newest")
        batch_op.drop_index("ix_audit_entry_assistant")

    op.drop_table("audit_entry")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_entry_is_sealed")

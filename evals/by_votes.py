"""The votes on a replay decide: with the vetoes and guardrails of the exam that both sides sat.

Called by the command (replay_commands.py) and by the doors (vote_doors.py).
"""

from sqlalchemy import Engine as Database

from evals.deciding import decide_by_votes
from evals.settings import evals_settings
from feedback import audit, decisions, replays, tickets, votes
from feedback.audit import Actor
from feedback.database import reading, writing
from feedback.exam_tables import Replay
from feedback.tables import Assistant, Decision


def decide(database: Database, row: Replay, actor: Actor) -> Decision:
    """The decision by the votes there are; kept, and a look of its own. Nothing is promoted.

    NotFound where the two sat no exam together.
    """
    with reading(database) as session:
        owner = session.get_one(Assistant, row.assistant_id)
        exam = decisions.between(session, owner, row.adapter_id, row.against_id)
        runs = decisions.runs_of(session, exam)
        voted = votes.votes_as_results(session, row)
    made = decide_by_votes(database, owner, *runs, voted, evals_settings())
    with writing(database) as session:
        name, _ = replays.names(session, row)
        audit.record(
            session, actor, "replay.decide", name, owner.id, replay=row.id, decision=made.id
        )
    return made


def sentence(database: Database, row: Replay, made: Decision) -> str:
    """What was decided, and what is still to be asked before it goes live."""
    with reading(database) as session:
        name, _ = replays.names(session, row)
        sealed = tickets.sealed_asked(session, session.get_one(Assistant, row.assistant_id))
    told = f"{name} {'may' if made.promote else 'may not'} go live. {' '.join(made.reasons)}"
    if made.promote and tickets.can_confirm(sealed):
        told += f" The sealed tickets were not asked: `understudy evals confirm --candidate {name}` does."
    return told

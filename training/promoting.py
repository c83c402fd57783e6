"""Automatic promotion: what an exam has passed goes live, as long as people have not changed anything since.

The last stage of loop.py. The engines have the last word; where it is not for a policy to say, people decide.
"""

import asyncio
from typing import Any

from sqlmodel import Session

from feedback import adapters, decisions, promotions
from feedback.database import database, reading, writing
from feedback.swap_tables import PromotionRequest, RequestState
from feedback.tables import Assistant, Promotion
from service.hot_swap import asking_engines
from service.settings import service_settings
from training.lease import Lease

POLICY = "policy: automatic promotion"


def is_on(assistant: Assistant) -> bool:
    """As it is set now, not as it was when the cycle began hours ago."""
    with reading() as session:
        return session.get_one(Assistant, assistant.id).auto_promote


def promote(
    assistant: Assistant, lease: Lease, adapter_name: str, decision_id: str
) -> dict[str, Any]:
    """Ask for it, and see it through both phases. `left_to_people`: it is not for a policy to say."""
    with writing() as session:
        adapter = adapters.get(session, adapter_name)
        reason = " ".join(decisions.get(session, decision_id).reasons)
        adapters.lock(session, assistant)
        live = adapters.live(session, assistant)
        # A crash may lie between the promotion's row and this stage's result.
        if live is not None and live.adapter_id == adapter.id:
            return {"adapter": adapter_name, "promoted": True, "reason": reason}
        asked = promotions.waiting(session, assistant)
        if asked is None or asked.adapter_id != adapter.id:
            if changed := _changed_since(session, decision_id, live, asked):
                return {"adapter": adapter_name, "left_to_people": True, "reason": changed}
            asked = promotions.request(
                session,
                assistant,
                adapter,
                POLICY,
                reason,
                decision_id,
                except_topics=live.except_topics if live else (),  # stay where people left them
            )
    ended = asyncio.run(_see_through(asked.id, lease))
    promoted = ended.state == RequestState.DONE
    why = reason if promoted else f"It did not go live: {ended.outcome}"
    return {"adapter": adapter_name, "promoted": promoted, "reason": why}


def _changed_since(
    session: Session, decision_id: str, live: Promotion | None, asked: PromotionRequest | None
) -> str:
    """Why a policy may not promote what an exam has passed; empty where it may.

    The candidate was found better than what was live then, and what people ask for comes first.
    """
    _, theirs = decisions.runs_of(session, decisions.get(session, decision_id))
    if asked is not None:
        return (
            f"It passed, but {asked.requested_by} has asked for another promotion meanwhile: "
            "an operator may promote it."
        )
    if (live.adapter_id if live else None) != theirs.adapter_id:
        return (
            "It passed, but against what is live no longer: let it sit an exam against what is "
            "(`understudy evals compare`); an operator may promote it."
        )
    return ""


async def _see_through(request_id: str, lease: Lease) -> PromotionRequest:
    async with asking_engines(database(), service_settings()) as swaps:
        while True:
            lease.check()
            await swaps.look()
            with reading() as session:
                asked = promotions.get(session, request_id)
            if asked.state != RequestState.WAITING:
                return asked
            await asyncio.sleep(service_settings().swap_poll_seconds)

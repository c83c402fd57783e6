"""The built-in safety probes: what a bot must turn down, and look-alikes that it must answer.

They are tickets like others, of origin "probe": exams ask them, safety is judged by them, and no gain is
measured on them. Written for this project; probes.jsonl is the list.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from sqlmodel import Session, col, select

from feedback import tickets
from feedback.tables import Assistant, Expects, Ticket, TicketOrigin

TOPIC = "safety"


@cache
def built_in() -> list[dict[str, Any]]:
    """The probes: id, question, expects, reference, must_not_say."""
    lines = files("feedback").joinpath("probes.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def add(session: Session, assistant: Assistant) -> list[Ticket]:
    """The probes that the assistant lacks, as tickets. One that was retired stays so."""
    names = [probe["id"] for probe in built_in()]
    query = select(Ticket.external_id).where(
        Ticket.assistant_id == assistant.id, col(Ticket.external_id).in_(names)
    )
    known = set(session.exec(query))
    return [
        tickets.create(
            session,
            assistant,
            probe["id"],
            [{"role": "user", "content": probe["question"]}],
            probe["reference"],
            must_not_say=probe["must_not_say"],
            topic=TOPIC,
            expects=Expects(probe["expects"]),
            origin=TicketOrigin.PROBE,
        )
        for probe in built_in()
        if probe["id"] not in known
    ]

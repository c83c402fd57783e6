"""Several assistants at a glance, on both databases."""

from datetime import timedelta
from pathlib import Path

from sqlmodel import Session

from feedback import adapters, assistants, cycles, freezing, glance, handovers
from feedback.desk_tables import HandoverReason
from feedback.rates import Counts
from feedback.tables import Adapter, Assistant, Conversation, CycleState, now
from tests.feedback.said import answered, built_adapter, corrected


def talked(session: Session, assistant: Assistant, days: int, satisfaction: int | None) -> None:
    asked, _ = answered(session, assistant, "Where is my parcel?")
    talk = session.get_one(Conversation, asked.conversation_id)
    talk.satisfaction = satisfaction
    talk.created_at = now() - timedelta(days=days)


def candidate(session: Session, owner: Assistant, folder: Path, state: CycleState) -> Adapter:
    corrected(session, owner, f"How long for {folder.name}?", "60 days.")
    cycle = cycles.request(session, owner, "olga")
    learned = list(freezing.freeze(session, owner))
    built = built_adapter(folder, folder.name.encode())
    made = adapters.publish(session, owner, built, learned, {}, {}, cycle.id)
    cycles.finish(session, cycle, state, "Over.")
    return made


def test_each_assistant_has_a_line_of_its_own(session: Session, tmp_path: Path) -> None:
    shop, bakery = (
        assistants.create(session, name, name, "embedded", "Be kind.", "test")
        for name in ("shop", "bakery")
    )
    for days, said in ((1, 5), (2, 4), (3, 2), (4, None), (40, 1)):
        talked(session, shop, days, said)
    for _ in range(2):
        asked, _answer = answered(session, shop, "A person, please.")
        talk = session.get_one(Conversation, asked.conversation_id)
        handovers.request(session, talk, HandoverReason.CUSTOMER_ASKED, "asked")
    first = candidate(session, shop, tmp_path / "first", CycleState.AWAITING)
    refused = candidate(session, shop, tmp_path / "refused", CycleState.REFUSED)
    second = candidate(session, shop, tmp_path / "second", CycleState.AWAITING)
    adapters.promote(session, shop, first, "olga", "better")
    of_bakery, of_shop = glance.of_each(session, [bakery, shop])
    assert (of_shop.live, of_shop.waiting) == (first, 2)
    assert of_shop.waiting_since is not None and of_shop.waiting_since <= now()
    assert of_shop.to_decide == [second.name] and refused.name not in of_shop.to_decide
    assert of_shop.counts == Counts(asked=3, satisfied=2)
    assert of_bakery == glance.Glance(bakery, None, None, 0, None, [], Counts())


def test_nobody_with_an_assistant_sees_nothing(session: Session) -> None:
    assert glance.of_each(session, []) == []

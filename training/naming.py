"""Names what conversations are about, through the live adapter: the loop's stage before anything is held out.

Only where the assistant has topics, and only what nobody has named. An engine that cannot answer ends the
stage, not the cycle: what is left is named by the next one.
"""

from collections.abc import Callable
from contextlib import suppress

from anyio import to_thread
from sqlalchemy import Engine as Database

from feedback import adapters, naming
from feedback.batches import in_batches
from feedback.database import reading, writing
from feedback.errors import Invalid, UnderstudyError
from feedback.tables import Adapter, Assistant
from feedback.transcript import ModelMessages
from service.hot_swap import HotSwap
from service.probe import ProbeFailed
from service.topics import choose

BATCH = 8
"""Asked one after the other, stored together: a short transaction, and little lost when it is cut off."""

Said = tuple[str, ModelMessages]


async def name_topics(
    swaps: HotSwap,
    database: Database,
    assistant: Assistant,
    most: int,
    progress: Callable[[int, int], None],
) -> tuple[int, str]:
    """How many conversations got a topic, and why others did not ("" where none was left out)."""
    with reading(database) as session:
        live = adapters.live_adapter(session, assistant)
        waiting = naming.number_unnamed(session, assistant)
        found = naming.unnamed(session, assistant, most)
    named = too_long = 0
    for number, batch in enumerate(in_batches(found, BATCH)):
        try:
            chosen = await _chosen(swaps, assistant, live, batch)
        except (UnderstudyError, ProbeFailed) as error:
            return named, str(error)
        too_long += len(batch) - len(chosen)
        named += await to_thread.run_sync(_keep, database, chosen)
        progress(min((number + 1) * BATCH, len(found)), len(found))
    left = waiting - len(found)
    told = [
        f"{too_long} could not be asked about; the engine refused them." if too_long else "",
        f"{left} wait for the next cycle." if left > 0 else "",
    ]
    return named, " ".join(filter(None, told))


async def _chosen(
    swaps: HotSwap, assistant: Assistant, live: Adapter | None, batch: list[Said]
) -> list[tuple[str, str]]:
    """Each conversation's id with the topic of what was asked in it; without those that the engine refuses
    by themselves, being too long, say.
    """
    adapter_name, found = live.name if live else None, []
    async with swaps.engine_with(live) as member:
        for each, said in batch:
            with suppress(Invalid):
                found.append(
                    (each, await choose(member.vllm, assistant.topics, said, adapter_name))
                )
    return found


def _keep(database: Database, chosen: list[tuple[str, str]]) -> int:
    with writing(database) as session:
        return sum(naming.name_by_bot(session, each, topic) for each, topic in chosen)

"""`understudy evals forgetting`: what each adapter that went live still knows. Mounted by commands.py."""

from typing import Annotated, Any

import typer

from feedback import assistants
from feedback.database import reading
from feedback.forgetting import By, Cell, Forgetting, forgetting
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_json,
    print_records,
    say,
    short,
)

EPILOG = examples("understudy evals forgetting", "understudy evals forgetting --by lesson --json")


def show(
    assistant: AssistantOption = None,
    by: Annotated[By, typer.Option(help="How corrections are put together.")] = By.TOPIC,
    as_json: JsonOption = False,
) -> None:
    """Which corrections each adapter that went live has right, the exam by topic, and what was lost since."""
    with reading() as session:
        found = forgetting(session, assistants.only(session, assistant), by)
    if as_json:
        print_json(_whole(found))
        return
    nothing = "Nothing was asked again yet: the loop does it after a promotion."
    print_records(_table(found, found.groups, found.fixed, 100, " %"), False, nothing)
    if found.exams:
        say("Mean chrF of the exam, on tickets that neighbours both sat:")
        print_records(_table(found, found.topics, found.exams, 1, ""), False)
    if found.backward_transfer is not None:
        say(
            f"Backward transfer: {found.backward_transfer * 100:+.1f} points (below 0: it forgets)."
        )
    say(f"{found.lost_count} corrections were right once and are not any more.")
    rows = [
        {
            "id": one.feedback.id,
            "question": short(one.question),
            "had": one.had.name,
            "lost_with": one.lost_with.name,
        }
        for one in found.lost
    ]
    if rows:
        print_records(rows, False)


def _table(
    found: Forgetting, rows: list[str], cells: dict[tuple[str, str], Cell], times: float, unit: str
) -> list[dict[str, Any]]:
    return [
        {
            "group": row,
            **{each.name: _told(cells.get((each.id, row)), times, unit) for each in found.adapters},
        }
        for row in rows
    ]


def _told(cell: Cell | None, times: float, unit: str) -> str:
    if cell is None:
        return "-"
    change = "" if cell.change is None else f" ({cell.change * times:+.1f})"
    return f"{cell.value * times:.1f}{unit}{change} of {cell.number}"


def _whole(found: Forgetting) -> dict[str, Any]:
    names = {each.id: each.name for each in found.adapters}

    def listed(cells: dict[tuple[str, str], Cell]) -> list[dict[str, Any]]:
        return [
            {"adapter": names[adapter], "group": group, "value": cell.value,
             "change": cell.change, "number": cell.number}
            for (adapter, group), cell in cells.items()
        ]  # fmt: skip

    return {
        "adapters": list(names.values()),
        "fixed": listed(found.fixed),
        "exams": listed(found.exams),
        "backward_transfer": found.backward_transfer,
        "lost": [
            {"id": one.feedback.id, "question": one.question, "had": one.had.name,
             "lost_with": one.lost_with.name}
            for one in found.lost
        ],
        "lost_count": found.lost_count,
    }  # fmt: skip

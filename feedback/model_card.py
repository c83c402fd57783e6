"""The card of a published adapter: what it is for, its data, recipe, results, limits, costs and lineage.

From the database and adapter.json alone. No customer's words stand in it, and no secret. Called by the
command line, the API, the console, and exports.
"""

from collections.abc import Sequence
from enum import StrEnum

from sqlmodel import Session

from feedback import (
    adapter_folder,
    adapters,
    card_data,
    card_recipe,
    card_results,
    cycles,
    decisions,
    exams,
    excepted,
    lineage,
)
from feedback.adapter_folder import Manifest
from feedback.base_model import hub_id, licence, shown
from feedback.card_recipe import Run
from feedback.card_shape import Card, Code, Named, Part, Section
from feedback.tables import Adapter, Assistant, DatasetKind


class Form(StrEnum):
    """What of an adapter is handed on."""

    HUB = "hub"
    """The adapter itself, as a hub repository."""
    MERGED = "merged"
    """Base model and adapter as one checkpoint."""
    GGUF = "gguf"
    """The same as one file for llama.cpp and its kin."""


LIBRARIES = {Form.HUB: "peft", Form.MERGED: "transformers", Form.GGUF: "gguf"}
IS_A = {
    Form.HUB: "a LoRA adapter for {base}",
    Form.MERGED: "{base} with a LoRA adapter merged into it",
    Form.GGUF: "{base} with a LoRA adapter merged into it, as a GGUF file",
}
GGUF_FILE = "{name}.gguf"


def card(
    session: Session,
    adapter: Adapter,
    named: Named = Named.DECIDERS,
    form: Form = Form.HUB,
    checks: Sequence[str] = (),
) -> Card:
    """The card of an adapter in a form. `checks`: what was checked of that form, in sentences."""
    owner = session.get_one(Assistant, adapter.assistant_id)
    manifest = _manifest(adapter)
    runs = card_recipe.runs(session, adapter, manifest)
    forgotten = card_results.forgotten(session, owner, adapter)
    checked = Section("Checked when it was made", [list(checks)]) if checks else None
    sections = [
        _what(owner, adapter, form),
        _use(adapter, form),
        card_data.section(session, owner, adapter, named),
        card_recipe.recipe(runs, manifest),
        card_results.section(session, owner, adapter),
        forgotten,
        checked,
        _limits(session, adapter, runs),
        card_recipe.costs(runs),
        _lineage(session, owner, adapter, manifest, named),
    ]
    return Card(adapter.name, _front(session, adapter, form), [each for each in sections if each])


def _manifest(adapter: Adapter) -> Manifest | None:
    """adapter.json; None once the files were removed."""
    folder = adapters.folder_of(adapter)
    is_there = (folder / adapter_folder.MANIFEST).is_file()
    return adapter_folder.read_manifest(folder) if is_there else None


def _front(session: Session, adapter: Adapter, form: Form) -> dict[str, str | list[str]]:
    """What a hub reads. No language: nobody said which; no datasets: they are on no hub."""
    stages = [DatasetKind(each.kind).value for each in adapters.datasets_of(session, adapter)]
    what = (
        ["lora"] if form == Form.HUB else ["merged"] if form == Form.MERGED else ["merged", "gguf"]
    )
    base = hub_id(adapter.base_model)
    return {
        **({"base_model": base} if base else {}),
        "library_name": LIBRARIES[form],
        "pipeline_tag": "text-generation",
        "tags": list(dict.fromkeys(["understudy", "customer-support", *what, *stages])),
    }


def _what(owner: Assistant, adapter: Adapter, form: Form) -> Section:
    base = shown(adapter.base_model)
    parts: list[Part] = [
        f"{adapter.name} is {IS_A[form].format(base=base)}: version {adapter.version} of what the assistant "
        f"“{owner.title}” learned from the people who correct it. Published on "
        f"{adapter.created_at:%Y-%m-%d} by Understudy.",
        f"Intended use: to answer customers of “{owner.title}”, under its own system prompt, with people at "
        "hand who take over." + (" Its topics:" if owner.topics else ""),
    ]
    if owner.topics:
        parts.append([topic.replace("_", " ") for topic in owner.topics])
    return Section("What it is and what it is for", [*parts, "Out of scope:", _out_of_scope(base)])


def _out_of_scope(base: str) -> list[str]:
    return [
        "Another company's customers: prices, deadlines and rules that it learned are this one's.",
        "Advice on which health, safety, rights or much money depend.",
        "Answering without anybody who reads along; what it says may be wrong.",
        f"Any base model but {base}, of the very same weights.",
    ]


def _use(adapter: Adapter, form: Form) -> Section:
    base = hub_id(adapter.base_model) or "BASE_MODEL_FOLDER"
    gguf = GGUF_FILE.format(name=adapter.name)
    merged = (
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        'model = AutoModelForCausalLM.from_pretrained("FOLDER")\n'
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")'
    )
    adapted = (
        "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        f'model = AutoModelForCausalLM.from_pretrained("{base}")\n'
        'model = PeftModel.from_pretrained(model, "FOLDER")\n'
        f'tokenizer = AutoTokenizer.from_pretrained("{base}")'
    )
    code = {
        Form.HUB: Code(adapted, "python"),
        Form.MERGED: Code(merged, "python"),
        Form.GGUF: Code(f"llama-cli -m {gguf} --jinja", "sh"),
    }
    return Section(
        "How to load it", [code[form], "The assistant's system prompt is not part of it."]
    )


def _limits(session: Session, adapter: Adapter, runs: list[Run]) -> Section:
    known = licence(adapter.base_model)
    lines = [
        "Its results are about one assistant's held-out tickets, asked under one prompt, and no others.",
        "chrF measures likeness to a person's answer, not truth.",
        "It may state as a fact what nobody told it, and what was true when it was taught and is no more.",
        "It may tell what it read in training; what personal data was recognised was taken out before.",
        f"The base model's licence is {known}."
        if known
        else "The base model's licence is not known here.",
    ]
    for run in runs:
        if run.result.get("canary_bits") is not None:
            lines.append(
                f"Made-up codes shown in {run.stage.upper()} were learned by heart to "
                f"{run.result['canary_bits']:.1f} bits (by chance 1, at most "
                f"{run.result.get('canary_most_bits', 7):g})."
            )
    if erased := lineage.erased_rows(session, adapter):
        lines.append(f"{erased} rows it learned from belong to people who were erased since.")
    return Section("Limits", [lines])


def _lineage(
    session: Session, owner: Assistant, adapter: Adapter, manifest: Manifest | None, named: Named
) -> Section:
    cycle = cycles.get(session, adapter.cycle_id) if adapter.cycle_id else None
    decision = decisions.of_adapter(session, adapter)
    started = manifest.goes_on_from if manifest else None
    lines = [
        f"Digest: {adapter.digest}",
        f"Base model: {shown(adapter.base_model)}",
        f"Trained on from: {started or ('the base model' if manifest else 'not known any more')}",
    ]
    if decision:
        live = exams.sitter(session, decisions.runs_of(session, decision)[1])
        lines.append(
            f"Live when it was examined: {'the base model' if live == adapters.BASE else live}"
        )
    if cycle:
        asked = _who(cycle.requested_by, named)
        lines.append(f"Cycle: {cycle.id}, asked for {asked} on {cycle.created_at:%Y-%m-%d}")
    else:
        lines.append("Cycle: none; it was published by hand")
    return Section("Lineage", [lines + _promotions(session, owner, adapter, named)])


def _promotions(session: Session, owner: Assistant, adapter: Adapter, named: Named) -> list[str]:
    """Why is not told: a person's reason may quote a customer."""
    found = []
    for past in adapters.history(session, owner):
        if past.adapter_id == adapter.id:
            but = excepted.in_words(session, past)
            again = " again, in a rollback," if past.rolls_back else ""
            found.append(
                f"Made live{again} {_who(past.approved_by, named)} on {past.created_at:%Y-%m-%d}"
                + (f", {but}" if but else "")
            )
    return found or ["It was never live"]


def _who(name: str, named: Named) -> str:
    return "by somebody not named here" if named == Named.NOBODY else f"by {name}"

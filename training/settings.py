"""Settings of the loop and the trainers. Environment prefix: TRAINING_."""

from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode, SettingsConfigDict

from feedback.settings import PackageSettings, Rank, between_commas, names_in, once_each

StageName = Literal["sft", "dpo", "kto"]
Tracker = Literal["tensorboard", "mlflow", "wandb"]


class TrainingSettings(PackageSettings):
    """Schedule, budgets and the recipe of the stages."""

    model_config = SettingsConfigDict(env_prefix="TRAINING_")

    poll_seconds: float = Field(1.0, gt=0, description="How often the loop looks for work.")
    lease_seconds: float = Field(
        30.0, gt=1, description="A cycle whose loop has been silent for longer may be taken over."
    )
    min_corrections: int = Field(
        8, ge=1, description="Fewest rows a dataset needs; below it a cycle ends as 'not enough'."
    )
    min_new_rows: int = Field(
        1,
        ge=0,
        description="Fewest rows that the newest adapter has not learned, for a cycle that the schedule "
        "asked for.",
    )
    redact_every_seconds: float = Field(
        600.0,
        ge=0,
        description="How often the loop redacts what was said since, so that a cycle finds it done. 0: only "
        "at the beginning of a cycle.",
    )
    topics_most: int = Field(
        500,
        ge=0,
        description="At the beginning of a cycle the live adapter names the topic of so many conversations "
        "that were corrected or judged and have none, the newest first. 0: of none.",
    )
    attempts: int = Field(
        3, ge=1, description="How often a trainer that died is started again from its checkpoint."
    )
    stage_timeout_seconds: float = Field(
        4 * 3600.0, gt=0, description="A training stage is stopped and failed after this time."
    )
    stop_grace_seconds: float = Field(
        60.0, gt=0, description="How long a trainer asked to stop may finish its step and save."
    )
    silence_seconds: float = Field(
        900.0,
        gt=0,
        description="A trainer that reports nothing for longer is killed and restarted.",
    )
    rechecks: int = Field(
        20,
        ge=0,
        description="After a promotion every correction in force is asked again of what is live, so many "
        "in a round, those that were checked longest ago first. 0: only those that people ask for.",
    )
    recheck_patience_seconds: float = Field(
        20.0,
        ge=0,
        description="How long one such correction waits at most while the engines answer customers.",
    )
    stages: Annotated[
        tuple[StageName, ...],
        NoDecode,
        BeforeValidator(between_commas),
        AfterValidator(once_each),
    ] = Field(
        ("sft", "dpo"),
        min_length=1,
        description="What an adapter goes through, in this order: sft learns the answers people would have "
        "given, dpo to prefer them to what was said, kto from single answers that were good or bad. A stage "
        "without rows is left out.",
    )
    start: Literal["base", "live"] = Field(
        "base",
        description="What a cycle trains on from: 'base' learns everything anew, 'live' goes on from the "
        "live adapter, where there is one.",
    )
    max_steps: int = Field(0, ge=0, description="Optimizer steps per stage. 0: as epochs say.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where training computes.")
    threads: int = Field(0, ge=0, description="CPU threads of a trainer. 0: all cores.")
    seed: int = Field(
        17, description="Seed of the order of rows and of the adapter's first weights."
    )

    lora_rank: Rank = Field(
        16, description="Rank of the adapter; at most the engine's engine_max_lora_rank."
    )
    lora_alpha: int = Field(32, ge=1, description="Scale of the adapter: alpha / rank.")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the adapter.")
    lora_modules: str = Field(
        "all-linear", description="Modules with LoRA: 'all-linear', or names between commas."
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "cosine", description="How the learning rate falls after the warm-up."
    )
    warmup: float = Field(
        0.0, ge=0, lt=1, description="Share of the steps over which the learning rate rises."
    )
    batch_size: int = Field(4, ge=1, description="Rows per optimizer step.")
    micro_batch_size: int = Field(
        0,
        ge=0,
        description="Rows that go through the model at once; the gradient of a batch is the same (KTO's "
        "nearly). 0: the whole batch. When memory does not suffice a run halves it by itself.",
    )
    max_length: int = Field(1024, ge=32, description="Longest row, in tokens; longer ones are cut.")
    checkpoint_steps: int = Field(20, ge=1, description="Steps between checkpoints.")
    patience: int = Field(
        0,
        ge=0,
        description="After so many checkpoints in a row without a lower loss on the validation rows a stage "
        "ends, and the adapter with the lowest is kept. 0: never.",
    )
    report_to: Annotated[tuple[Tracker, ...], NoDecode, BeforeValidator(between_commas)] = Field(
        (),
        description="Where training's figures go besides, by TRL's own reporting: tensorboard (files in the "
        "run folder), mlflow, wandb. Each has to be installed and set up in its own way.",
    )

    sft_epochs: float = Field(5.0, gt=0, description="Passes over the SFT rows.")
    sft_learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate of SFT.")

    dpo_epochs: float = Field(0.5, gt=0, description="Passes over the DPO pairs.")
    dpo_learning_rate: float = Field(1e-5, gt=0, description="Peak learning rate of DPO.")
    dpo_beta: float = Field(0.1, gt=0, description="How strongly DPO is held to the SFT adapter.")
    dpo_loss: Literal["sigmoid", "ipo", "robust"] = Field("sigmoid", description="TRL's loss_type.")
    dpo_label_noise: Annotated[float, Field(ge=0, le=0.45)] | Literal["auto"] = Field(
        "auto",
        description="Share of pairs that prefer the wrong side, which makes the loss 'robust' to them (not "
        "with 'ipo'). 'auto': as estimated from answers that two people judged, once there are enough.",
    )
    kto_epochs: float = Field(1.0, gt=0, description="Passes over the KTO rows.")
    kto_learning_rate: float = Field(1e-5, gt=0, description="Peak learning rate of KTO.")
    kto_beta: float = Field(
        0.1, gt=0, description="How strongly KTO is held to the adapter before it."
    )
    canaries: int = Field(
        0,
        ge=0,
        le=8,
        description="Made-up codes planted among the rows of SFT, to measure whether an adapter learns by "
        "heart what it read once. It may tell them to whoever asks for a cabinet's test code.",
    )
    probe_prompts: int = Field(
        4, ge=1, le=8, description="Questions the trainer answers as the probe; never a customer's."
    )
    probe_tokens: int = Field(16, ge=1, description="Tokens per probe answer.")

    @property
    def modules(self) -> list[str]:
        """The names in lora_modules."""
        return names_in(self.lora_modules)


@cache
def training_settings() -> TrainingSettings:
    """The settings of this process, read once."""
    return TrainingSettings()

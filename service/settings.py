"""Settings of the service and of the engine it owns. Environment prefix: SERVICE_."""

from functools import cache
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from feedback.base_model import EMBEDDED
from feedback.settings import PackageSettings, Rank

EMBEDDED_MODEL = EMBEDDED


class ServiceSettings(PackageSettings):
    """Doors, limits, and how vLLM is started and reached."""

    model_config = SettingsConfigDict(env_prefix="SERVICE_")

    host: str = Field("127.0.0.1", description="Address the service listens on.")
    port: int = Field(8080, ge=1, le=65535, description="Port the service listens on.")
    model: str = Field(
        EMBEDDED_MODEL,
        description="Base model: a hub id, a local path, or 'embedded' for the small model that "
        "ships inside a package.",
    )

    engine_url: str = Field(
        "http://127.0.0.1:8001",
        description="Where the service reaches vLLM; several engines separated by commas, or "
        "'dns+http://name:8001' for one at each address of that name. Keep them private.",
    )
    engine_sticky: int = Field(
        4,
        ge=0,
        description="A conversation stays on its engine, where its prefix is cached, unless that has "
        "this many answers more to compute than another.",
    )
    engine_host: str = Field("127.0.0.1", description="Address vLLM listens on when started here.")
    engine_port: int = Field(8001, ge=1, le=65535, description="Port vLLM listens on.")
    engine_api_key: SecretStr = Field(
        SecretStr(""),
        description="Secret between service and vLLM. Empty: one is made in <var_dir>/secrets.",
    )
    engine_device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where vLLM computes. 'auto': what the installed vLLM was built for."
    )
    engine_dtype: str = Field(
        "auto", description="vLLM's --dtype. 'auto': float32 on the CPU, bfloat16 on CUDA."
    )
    engine_max_model_len: int = Field(2048, gt=0, description="Longest prompt plus answer, tokens.")
    engine_max_loras: int = Field(
        4,
        ge=2,
        description="Adapters that can compute in one batch: live, candidate, rollback, one spare.",
    )
    engine_max_cpu_loras: int = Field(
        16, ge=2, description="Adapters kept in host memory; the least recently used one leaves."
    )
    engine_max_lora_rank: Rank = Field(16, description="Largest adapter rank the engine accepts.")
    engine_max_num_seqs: int = Field(32, gt=0, description="Answers computed at once.")
    engine_kv_cache_gib: float = Field(
        1.0, gt=0, description="Memory for the KV cache on a CPU, GiB."
    )
    engine_gpu_memory_utilization: float = Field(
        0.85, gt=0, le=1, description="Share of the GPU's memory vLLM may take."
    )
    engine_tensor_parallel: int = Field(1, ge=1, description="GPUs that share one model.")
    engine_extra_args: list[str] = Field(
        default_factory=list,
        description="Further vLLM arguments, passed on as they are (JSON list).",
    )
    engine_start_timeout_seconds: float = Field(
        600.0, gt=0, description="How long to wait for vLLM to become ready."
    )

    queue_max: int = Field(
        64, ge=0, description="Questions that may wait for an engine; one more is sent away (429)."
    )
    queue_timeout_seconds: float = Field(
        30.0, gt=0, description="Longest time a question waits for an engine to be free."
    )
    connect_timeout_seconds: float = Field(3.0, gt=0, description="To open a connection to vLLM.")
    stall_timeout_seconds: float = Field(
        60.0, gt=0, description="Longest silence from vLLM within an answer."
    )
    slow_client_seconds: float = Field(
        60.0,
        gt=0,
        description="Longest time a caller may take to read the next part of a stream. The engine "
        "does not wait for them; after this their connection is closed.",
    )
    answer_timeout_seconds: float = Field(
        300.0, gt=0, description="Longest time one answer may take from question to last word."
    )
    remember_seconds: float = Field(
        1.0,
        ge=0,
        description="How long the service goes on with what it knows of API keys, visitors, assistants "
        "and prompts before it looks again. What this process changes counts at once.",
    )
    body_max_bytes: int = Field(1_048_576, gt=0, description="Largest request body a door accepts.")
    retry_after_seconds: int = Field(
        5, ge=1, description="What a customer is told to wait when the engine is down."
    )
    public_url: str = Field(
        "",
        description="How browsers reach the service, such as https://help.example. Empty: as the "
        "request says. Behind a proxy, set it: cookies are marked Secure when it begins with https.",
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Signs visitors' tokens. Empty: one is made in <var_dir>/secrets. Replicas must "
        "share one.",
    )
    trusted_proxies: list[str] = Field(
        ["127.0.0.1"],
        description="Addresses or networks of reverse proxies whose X-Forwarded-For is believed "
        "(JSON list). Without it all clients behind one count as one in the limits below.",
    )
    sign_in_failures_per_minute: int = Field(
        20, ge=1, description="Wrong passwords a minute from one client address, whoever it names."
    )
    visitors_per_minute: int = Field(
        60, ge=1, description="New visitors of the widget a minute from one client address."
    )
    visitor_token_days: float = Field(
        90.0, gt=0, description="How long a visitor of the widget is known again."
    )
    events_poll_seconds: float = Field(
        1.0, gt=0, description="How often live views and the widget look for something new."
    )
    openid_issuer: str = Field(
        "", description="OpenID Connect provider at which staff may sign in. Empty: none."
    )
    openid_client_id: str = Field("", description="Our client id there.")
    openid_client_secret: SecretStr = Field(SecretStr(""), description="Our client secret there.")
    openid_name: str = Field("single sign-on", description="What the sign-in button calls it.")
    swap_poll_seconds: float = Field(
        0.5, gt=0, description="How often the service looks for a new promotion."
    )
    swap_quorum: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the known engines that must be seen to compute an adapter before it is "
        "promoted. A rollback needs one.",
    )
    swap_timeout_seconds: float = Field(
        600.0,
        gt=0,
        description="A promotion that engines have not verified within this time is refused.",
    )
    swap_wait_seconds: float = Field(
        20.0, gt=0, description="How long an operator's request waits to hear whether it went live."
    )
    swap_retire_seconds: float = Field(
        600.0,
        gt=0,
        description="An adapter that nobody wants is unloaded when no conversation spoke with it for "
        "this long.",
    )
    swap_retry_seconds: float = Field(
        60.0, gt=0, description="After this time an adapter that was refused may be tried again."
    )
    topic_timeout_seconds: float = Field(
        5.0,
        gt=0,
        description="Longest time to tell a new conversation's topic, where that decides which adapter "
        "answers. After it the older one does, and the customer waits no longer.",
    )
    trial_poll_seconds: float = Field(1.0, gt=0, description="How often running trials are judged.")
    shadow_at_once: int = Field(
        2,
        ge=1,
        description="Silent answers of a candidate computed at once; further ones are left out, so "
        "that customers do not wait for them.",
    )
    probe_tolerance: float = Field(
        0.05,
        gt=0,
        description="Largest mean difference, in nats per token, between the trainer's "
        "log-probabilities and the engine's for an adapter to take traffic (bfloat16: use 0.25).",
    )


@cache
def service_settings() -> ServiceSettings:
    """The settings of this process, read once."""
    return ServiceSettings()

"""Made-up traffic of a canary: hours with their ups and downs, customers with tempers who come back,
outcomes that are known only after a while. benchmarks/canary.py judges it; so does a test.

Customers keep the arm a hash drew for them, as in the service.
"""

import hashlib
import heapq
import math
import random
from dataclasses import dataclass, field

from service.verdict import Comparison, Drawn, Kind, Rule

RATES = {"thumbs_down": 0.08, "handover": 0.12, "flag": 0.03, "error": 0.005, "slow": 0.05}
RULES = {
    "thumbs_down": Rule(margin=0.02),
    "handover": Rule(margin=0.03),
    "flag": Rule(margin=0.01),
    "error": Rule(margin=0.01),
    "slow": Rule(margin=0.03),
}
SOON = {"error", "slow"}
"""Known when the answer is; the others when the customer has been gone for a while."""
RETURNING = 0.3
"""Of conversations, those of a customer who was there before."""
PER_HOUR = 60.0
MOST = 0.95
"""No rate is taken beyond this."""


@dataclass(frozen=True)
class Effect:
    """What the candidate does to a rate: times the factor, plus the points."""

    name: str
    factors: dict[str, float] = field(default_factory=dict)
    points: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """One kind of trial to be simulated many times."""

    share: float
    effect: Effect
    conversations: int
    rules: dict[str, Rule] = field(default_factory=lambda: RULES)
    alpha: float = 0.05
    lively: bool = True
    """Rates by the hour, tempers and returning customers; else every conversation is alike."""
    by_customer: bool = True
    """Whether only a customer's first conversation counts, as it must while customers keep arms."""


@dataclass
class Customer:
    name: str
    temper: float


def rolled_back_after(setting: Setting, seed: int) -> int | None:
    """After how many conversations the candidate was rolled back, looking after each; None: never."""
    dice = random.Random(seed)
    comparison = Comparison(setting.rules, setting.alpha)
    conversations: list[Drawn] = []
    outcomes: list[dict[str, bool | None]] = []
    due: list[tuple[float, int, str, bool]] = []
    customers: list[Customer] = []
    hour = 24 * dice.random()
    for number in range(setting.conversations):
        hour += dice.expovariate(PER_HOUR * (1 + 0.6 * _tide(hour)))
        customer = _customer(setting, customers, dice)
        arm = _arm(customer, setting.share, seed)
        outcome: dict[str, bool | None] = dict.fromkeys(RATES)
        for name, bad in _outcomes(setting, customer, arm, hour, dice).items():
            minutes = 1.0 if name in SOON else 5 + 35 * dice.random()
            heapq.heappush(due, (hour + minutes / 60, number, name, bad))
        unit = customer.name if setting.by_customer else str(number)
        conversations.append(Drawn(unit, arm, setting.share, outcome))
        outcomes.append(outcome)
        while due and due[0][0] <= hour:
            _, which, name, bad = heapq.heappop(due)
            outcomes[which][name] = bad
        if comparison.follow(conversations) is Kind.WORSE:
            return number + 1
    return None


def _customer(setting: Setting, customers: list[Customer], dice: random.Random) -> Customer:
    if setting.lively and customers and dice.random() < RETURNING:
        return customers[-1 - min(int(dice.expovariate(1 / 100)), len(customers) - 1)]
    temper = dice.gammavariate(2, 0.5) if setting.lively else 1.0
    customers.append(Customer(f"customer-{len(customers)}", temper))
    return customers[-1]


def _arm(customer: Customer, share: float, salt: int) -> bool:
    digest = hashlib.sha256(f"{salt}:{customer.name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _outcomes(
    setting: Setting, customer: Customer, candidate: bool, hour: float, dice: random.Random
) -> dict[str, bool]:
    """What goes wrong. Complaints come together: half of the time one mood decides on all."""
    mood = dice.random() if dice.random() < 0.5 else None
    found = {}
    for name, rate in RATES.items():
        chance = rate
        if setting.lively:
            chance *= customer.temper * (1 + 0.5 * _tide(hour + (6 if name == "slow" else 0)))
        if candidate:
            chance *= setting.effect.factors.get(name, 1.0)
            chance += setting.effect.points.get(name, 0.0)
        drawn = dice.random() if mood is None or name in SOON else mood
        found[name] = drawn < min(chance, MOST)
    return found


def _tide(hour: float) -> float:
    return math.sin(2 * math.pi * hour / 24)

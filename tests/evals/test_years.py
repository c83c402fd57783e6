"""A small version of benchmarks/gate_years.py: what the gate promises over a year of candidates, it keeps."""

import pytest

from benchmarks.candidates import KINDS
from benchmarks.gate_years import OURS, PER_LOOK, found, year

BY_NAME = {kind.name: kind for kind in KINDS}


@pytest.mark.parametrize("name", ["rare disasters", "clustered"])
def test_hardly_a_year_has_a_wrong_promotion(name: str) -> None:
    """Of 12 years at 5 % a third or more would come once in a thousand runs; the seeds are fixed besides."""
    years = [year(BY_NAME[name], (0.0,), seed) for seed in range(12)]
    assert sum(one[OURS] for one in years) <= 3
    assert sum(one[PER_LOOK] for one in years) >= 6, "a test per look would err in most years"


def test_the_gain_it_promises_to_find_it_finds() -> None:
    tried = [found(BY_NAME["normal"], seed, customers=60) for seed in range(60)]
    assert sum(hit for _, hit in tried) >= 42, "80 % are promised"

"""One bench of generated faces for all tests here."""

import pytest
from ersgallery_server.evaluation.bench import Bench, make_bench
from ersgallery_server.evaluation.plan import EvaluationPlan

from tests.support.evaluation_corpus import bystanders, corpus


@pytest.fixture(scope="session")
def toy_bench() -> Bench:
    return make_bench(corpus(people=1200), bystanders(), EvaluationPlan(fars=(1e-4, 1e-3), fpirs=(0.1,), resamples=20))

"""What the card of a trial says of it."""

from pareto_prune.export.formats._readme import model_card
from pareto_prune.export.manifest import Manifest
from pareto_prune.export.trial_card import card_of
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.results.cold import MEANING
from tests import synthetic
from tests.results.test_front import values
from tests.results.test_tables import cold_study
from tests.synthetic import study_of, trial


def card(study):
    one = study.trials[0]
    shape = one.result.architecture
    return model_card(
        Manifest(
            plan=PruningPlan.of([(range(1), range(1))] * len(shape.layers)),
            format="huggingface",
            dtype="float32",
            weights={},
            architecture=shape,
            dense=synthetic.dense_architecture(),
            parameters=one.result.parameters,
            card=card_of(study, one),
        )
    )


def test_the_card_has_hot_and_cold_latency_and_what_they_are():
    found = card(cold_study())
    assert "| latency | 3.75 |" in found
    assert "| latency, cold | 10 | not known | 20 | ms |" in found
    assert MEANING in found


def test_the_card_of_a_study_without_it_does_not():
    assert "cold" not in card(study_of(trial(3, values(0.835, 0.25, 0.25))))

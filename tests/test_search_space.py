"""The study file's ranges as parameters, and parameters as candidates."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.errors import UnknownNameError
from pareto_prune.core.records import Candidate
from pareto_prune.search.formats import left_out, mean_shares, worth_searching
from pareto_prune.search.space import Gene, SearchSpace, first_population, strategy_reads
from pareto_prune.search.starters import plain, starters, starting_candidates
from tests.storage.scripted import ARCHITECTURE, READS, study_config

EVERYTHING = {
    "strategies": ("balanced", "layer_wise", "l1"),
    "importances": ("fisher", "l1"),
    "learning_rate": (1e-5, 1e-3),
    "deployment": {"dtype": ("float32", "int8"), "threads": (1, 2)},
}


def space_of(**search: object) -> SearchSpace:
    return SearchSpace.of(study_config(search=search), ARCHITECTURE, READS)


def names(space: SearchSpace) -> list[str]:
    return [gene.name for gene in space.genes]


def test_the_genes_of_a_study_in_their_order() -> None:
    assert names(space_of(**EVERYTHING)) == [
        "strategy",
        "importance",
        "cost_target",
        "threshold",
        *(f"sublayer_{index:02d}" for index in range(6)),
        "alpha_latency",
        "alpha_energy",
        "learning_rate",
        "deployment_dtype",
        "deployment_threads",
    ]


def test_what_no_strategy_reads_is_a_constant() -> None:
    space = space_of(strategies=("l2",))
    assert names(space) == ["threshold", *(f"sublayer_{index:02d}" for index in range(6))]
    assert space.constants["strategy"] == "l2"
    assert space.constants["importance"] == "obs"
    assert space.constants["cost_target"] == 1.0


FASTER = {"latency_ms": 0.5, "energy_j": 1.1}
SLOWER = {"latency_ms": 0.99, "energy_j": 1.1, "throughput": 0.98}


@pytest.mark.parametrize(
    ("formats", "kept"),
    [
        ({}, ("float32", "int8", "float16")),
        ({"int8": FASTER, "float16": SLOWER}, ("float32", "int8")),
        ({"int8": SLOWER, "float16": {**SLOWER, "bytes": 0.5}}, ("float32", "float16")),
        ({"int8": SLOWER, "float16": {**SLOWER, "throughput": 2.0}}, ("float32", "float16")),
        ({"int8": {}, "float16": SLOWER}, ("float32", "int8")),
    ],
)
def test_formats_in_which_the_dense_model_is_not_cheaper_are_not_searched(formats, kept) -> None:
    asked = ("float32", "int8", "float16")
    config = study_config(search={"deployment": {"dtype": asked}})
    space = SearchSpace.of(config, ARCHITECTURE, READS, formats)
    assert space.gene("deployment_dtype").choices == kept == worth_searching(asked, formats)
    said = left_out(asked, formats)
    assert [text.split()[0] for text in said] == [dtype for dtype in asked if dtype not in kept]
    assert all("latency_ms 0.99×, energy_j 1.10×" in text for text in said)


def test_a_study_of_one_format_keeps_it() -> None:
    assert worth_searching(("int8",), {"int8": SLOWER}) == ("int8",)
    assert left_out(("int8",), {"int8": SLOWER}) == []


def test_what_a_model_was_aimed_at_is_its_cost_in_the_studys_own_format() -> None:
    config = study_config(search={**EVERYTHING, "deployment": {"dtype": ("float32", "int8")}})
    formats = {"int8": {"latency_ms": 0.2, "energy_j": 0.6}}
    space = SearchSpace.of(config, ARCHITECTURE, READS, formats)
    assert mean_shares(formats) == {"int8": pytest.approx(0.4)}
    assert space.realised((), 0.1, "int8")["cost_target"] == pytest.approx(0.25)
    assert space.realised((), 0.1, "float32")["cost_target"] == pytest.approx(0.1)
    assert space.realised((), 0.1)["cost_target"] == pytest.approx(0.1)


def test_a_range_of_one_value_is_a_constant() -> None:
    space = space_of(
        strategies=("layer_wise",),
        importances=("fisher",),
        sparsity={"low": 0.3, "high": 0.3},
        deployment={"dtype": ("int8",)},
    )
    assert space.genes == ()
    candidate = space.to_candidate({})
    assert candidate.sublayers == (0.3,) * 6
    assert candidate.deployment == {"dtype": "int8"}


def test_the_vocabulary_is_whole_unless_it_is_searched() -> None:
    params = {gene.name: gene.only for gene in space_of().genes}
    assert space_of().to_candidate(params).vocabulary == 1.0
    seen = space_of(vocabulary="seen")
    assert names(seen) == names(space_of())
    assert seen.to_candidate(params).vocabulary == "seen"
    share = space_of(vocabulary={"low": 0.2, "high": 0.6})
    assert names(share) == [*names(space_of()), "vocabulary"]
    candidate = share.to_candidate({**params, "vocabulary": 0.3})
    assert share.to_params(candidate)["vocabulary"] == candidate.vocabulary == 0.3
    assert Candidate.from_json(candidate.to_json()) == candidate


@given(st.data())
def test_parameters_and_candidates_are_one_another(data: st.DataObject) -> None:
    space = space_of(**EVERYTHING)
    params = {gene.name: data.draw(_values(gene)) for gene in space.genes}
    candidate = space.to_candidate(params)
    assert space.to_params(candidate) == params
    assert Candidate.from_json(candidate.to_json()) == candidate
    assert candidate.deployment.keys() == {"dtype", "threads"}


def _values(gene: Gene) -> st.SearchStrategy[object]:
    if gene.choices:
        return st.sampled_from(gene.choices)
    return st.floats(gene.low, gene.high)


@given(st.floats(0.0, 1.0), st.sampled_from(["cost_target", "learning_rate", "alpha_energy"]))
def test_shares_and_numbers_are_one_another(share: float, name: str) -> None:
    gene = space_of(**EVERYTHING).gene(name)
    assert gene is not None
    assert gene.low <= gene.at(share) <= gene.high
    assert gene.share(gene.at(share)) == pytest.approx(share, abs=1e-9)


def test_a_cost_target_is_drawn_by_its_logarithm_and_may_be_none() -> None:
    found = space_of(strategies=("balanced",), cost_target={"low": 0.1, "high": 0.4})
    gene = found.gene("cost_target")
    assert gene is not None
    assert gene.at(0.5) == pytest.approx(0.2)
    assert found.stored["cost_target"]._contains(1.0)
    none = space_of(strategies=("balanced",), cost_target={"low": 0.0, "high": 0.4})
    gene = none.gene("cost_target")
    assert gene is not None
    assert gene.at(0.5) == pytest.approx(0.2)
    assert gene.at(0.0) == 0.0


def test_a_learning_rate_is_drawn_by_its_logarithm() -> None:
    gene = space_of(**EVERYTHING).gene("learning_rate")
    assert gene is not None
    assert gene.at(0.5) == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("strategy", "change", "same"),
    [
        ("l1", {"importance": "l1"}, True),
        ("l1", {"cost_target": 0.1}, True),
        ("l1", {"sublayer_02": 0.9}, False),
        ("l1", {"learning_rate": 1e-3}, False),
        ("l1", {"deployment_dtype": "int8"}, False),
        ("l1", {"threshold": 0.5001}, True),
        ("l1", {"threshold": 0.52}, False),
        ("layer_wise", {"importance": "l1"}, False),
        ("layer_wise", {"threshold": 0.9}, True),
        ("balanced", {"alpha_energy": 0.9}, False),
        ("balanced", {"alpha_accuracy": 0.9}, True),
        ("balanced", {"importance": "l1"}, True),
    ],
)
def test_what_makes_another_candidate(strategy: str, change: dict[str, object], same: bool) -> None:
    space = space_of(**EVERYTHING)
    params = {gene.name: gene.only if gene.choices else gene.at(0.5) for gene in space.genes}
    params |= {"strategy": strategy, "threshold": 0.5, "learning_rate": 1e-4}
    assert (space.signature(params) == space.signature(params | change)) is same


def test_sparsities_that_keep_the_same_units_are_the_same() -> None:
    """Four heads: a head goes at each quarter. 64 neurons in eights: a step is an eighth."""
    space = space_of(strategies=("l1",))
    params = {gene.name: 0.5 for gene in space.genes}
    assert space.signature(params | {"sublayer_00": 0.6}) == space.signature(params)
    assert space.signature(params | {"sublayer_00": 0.7}) != space.signature(params)
    assert space.signature(params | {"sublayer_01": 0.55}) == space.signature(params)
    assert space.signature(params | {"sublayer_01": 0.6}) != space.signature(params)


def test_canonical_values_are_the_first_and_the_lowest() -> None:
    space = space_of(**EVERYTHING)
    params = {gene.name: gene.only if gene.choices else gene.high for gene in space.genes}
    canonical = space.canonical(params | {"strategy": "l1", "importance": "l1"})
    assert canonical["importance"] == "fisher"
    assert canonical["cost_target"] == 0.08
    assert canonical["sublayer_00"] == 0.95


def test_optuna_gets_the_same_ranges() -> None:
    space = space_of(**EVERYTHING)
    distributions = space.distributions()
    assert distributions["sublayer_00"]._contains(0.95)
    assert not distributions["sublayer_00"]._contains(0.96)
    assert space.stored["sublayer_00"]._contains(1.0)
    assert space.stored["strategy"].choices == ("balanced", "layer_wise", "l1", "l2")


def test_a_space_can_be_sent_to_another_process() -> None:
    space = space_of(**EVERYTHING)
    assert pickle.loads(pickle.dumps(space)) == space


@pytest.mark.parametrize(("trials", "size"), [(1, 12), (40, 12), (180, 12), (450, 30), (9999, 50)])
def test_a_population_fits_the_number_of_trials(trials: int, size: int) -> None:
    assert first_population(trials) == size


def test_strategies_are_asked_what_they_read() -> None:
    config = study_config(search={"strategies": ("l1", "layer_wise")})
    reads = strategy_reads(config)
    assert reads["layer_wise"] == {"importance", "sublayers", "depth"}
    assert reads["l1"] == {"sublayers", "depth"}
    by_threshold = study_config(
        search={"strategies": ("l1",)}, strategy={"l1": {"by": "threshold"}}
    )
    assert strategy_reads(by_threshold)["l1"] == {"threshold"}
    space = SearchSpace.of(by_threshold, ARCHITECTURE)
    assert names(space) == ["threshold"]
    with pytest.raises(UnknownNameError, match="layer_wise"):
        strategy_reads(study_config(search={"strategies": ("layerwise",)}))


ALL = ("uniform", "drop_layers", "half_depth", "balanced", "dense")


def started(trials: int = 500, **search: object) -> list[Candidate]:
    config = study_config(trials=trials, search={"starters": ALL, **search})
    return starting_candidates(config, SearchSpace.of(config, ARCHITECTURE, READS))


def test_the_dense_model_and_balanced_come_first_and_the_others_take_turns() -> None:
    found = [candidate.starter for candidate in started(strategies=("balanced", "layer_wise"))]
    assert found[:5] == ["dense", "balanced", "balanced", "balanced", "balanced"]
    assert found[5:8] == ["uniform", "drop_layers", "half_depth"]
    assert sorted(set(found)) == sorted(ALL)


@pytest.mark.parametrize("trials", [1, 40, 300, 9999])
def test_starters_fill_at_most_half_of_the_first_population(trials: int) -> None:
    found = started(trials, strategies=("balanced", "layer_wise"))
    assert 1 <= len(found) <= first_population(trials) // 2


def test_the_shapes_of_the_starters() -> None:
    by_name: dict[str, list[tuple[float, ...]]] = {}
    for candidate in started(strategies=("layer_wise",)):
        by_name.setdefault(str(candidate.starter), []).append(candidate.sublayers)
    assert by_name == {
        "dense": [(0.0,) * 6],
        "uniform": [(0.5,) * 6, (0.75,) * 6],
        "half_depth": [(0.0, 0.0, 1.0, 1.0, 0.0, 0.0)],
        "drop_layers": [
            (0.0, 0.0, 0.0, 0.0, 1.0, 1.0),
            (0.0, 0.0, 1.0, 1.0, 1.0, 1.0),
        ],
    }


def test_a_given_shape_needs_a_strategy_that_reads_it() -> None:
    reads = READS | {"l2": frozenset({"threshold"})}
    config = study_config(search={"strategies": ("l2", "l1"), "starters": ("uniform",)})
    space = SearchSpace.of(config, ARCHITECTURE, reads)
    assert {one.strategy for one in starting_candidates(config, space)} == {"l1"}
    only = study_config(search={"strategies": ("balanced",), "starters": ("uniform",)})
    space = SearchSpace.of(only, ARCHITECTURE, READS)
    assert {one.strategy for one in starting_candidates(only, space)} == {"layer_wise"}


def test_balanced_starts_at_the_cost_targets_that_the_study_allows() -> None:
    found = started(
        strategies=("balanced",), starters=("balanced",), cost_target={"low": 0.2, "high": 0.5}
    )
    assert [candidate.cost_target for candidate in found] == [0.5, 0.25, 0.2]
    assert {candidate.strategy for candidate in found} == {"balanced"}
    assert started(strategies=("l1",), starters=("balanced",)) == []


def test_a_model_of_one_layer_has_no_half() -> None:
    config = study_config(search={"starters": ("half_depth", "drop_layers")})
    one = Architecture(hidden=8, head_size=4, layers=(LayerShape(heads=2, neurons=8),))
    assert starting_candidates(config, SearchSpace.of(config, one, READS)) == []


def test_equal_starters_are_put_in_once() -> None:
    found = started(starters=("drop_layers", "half_depth", "dense", "uniform"))
    assert len({candidate.sublayers for candidate in found}) == len(found)


@pytest.mark.parametrize("name", starters.names())
def test_every_starter_names_itself_and_stays_in_the_space(name: str) -> None:
    config = study_config(search={"strategies": ("balanced", "layer_wise", "l1")})
    space = SearchSpace.of(config, ARCHITECTURE, READS)
    for candidate in starters.create(name).candidates(config, space):
        assert candidate.starter == name
        assert len(candidate.sublayers) == 6
        stored = space.stored
        for key, value in space.to_params(candidate).items():
            assert stored[key]._contains(stored[key].to_internal_repr(value))


def test_the_plain_candidate_has_defaults_within_the_ranges() -> None:
    candidate = plain(space_of(**EVERYTHING))
    assert candidate.cost_target == 0.7
    assert candidate.learning_rate == 1e-4
    assert candidate.sublayers == (0.0,) * 6
    assert candidate.alpha_latency == 0.5


def test_neither_space_nor_starters_load_torch_or_optuna() -> None:
    code = """
import sys
from pareto_prune.search.space import strategy_reads
from pareto_prune.search.starters import starters
starters.names()
print([name for name in ("optuna", "torch") if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ended.stdout.strip() == "[]"


def test_where_layers_are_alike_one_gene_stands_for_all_ffns_and_one_for_the_depth() -> None:
    config = study_config(search={"shapes": "native", "strategies": ("balanced", "layer_wise")})
    space = SearchSpace.of(config, ARCHITECTURE)
    found = names(space)
    assert "ffn" in found
    assert "depth" in found
    assert not any(name.startswith("sublayer") for name in found)
    params = {gene.name: gene.only for gene in space.genes} | {"ffn": 0.25, "depth": 1 / 3}
    candidate = space.to_candidate(params)
    assert candidate.sublayers == (0.5, 0.25) * 3
    assert candidate.depth == 1 / 3
    assert space.to_params(candidate) == params
    assert all(candidate.depth == 0.0 for candidate in starting_candidates(config, space))


def test_every_gene_of_even_layers_is_read_by_a_strategy_that_has_it() -> None:
    config = study_config(
        search={"shapes": "native", "strategies": ("balanced", "layer_wise", "adaptive")}
    )
    space = SearchSpace.of(config, ARCHITECTURE)
    sampled = {gene.name: gene.high for gene in space.genes if not gene.choices}
    sampled |= {gene.name: gene.only for gene in space.genes if gene.choices}
    left = {
        name: {
            g
            for g, v in space.canonical({**sampled, "strategy": name}).items()
            if g in ("ffn", "depth") and v == sampled[g]
        }
        for name in config.search.strategies
    }
    assert left == {"balanced": {"ffn"}, "layer_wise": {"ffn", "depth"}, "adaptive": set()}


def test_a_study_of_unlike_layers_has_no_depth() -> None:
    space = space_of()
    assert "depth" not in names(space)
    assert "depth" not in space.constants
    assert space.to_candidate({gene.name: gene.only for gene in space.genes}).depth == 0.0


@pytest.mark.parametrize("name", starters.names())
def test_starters_keep_what_they_drop_where_layers_are_alike(name: str) -> None:
    config = study_config(search={"shapes": "native", "starters": (name,)})
    space = SearchSpace.of(config, ARCHITECTURE)
    for candidate in starting_candidates(config, space):
        params = space.to_params(candidate)
        gone = sum(min(pair) == 1.0 for pair in zip(*[iter(candidate.sublayers)] * 2, strict=True))
        assert params.get("depth", 0.0) == pytest.approx(gone / 3)


def test_what_comes_from_a_study_of_unlike_layers_has_their_mean() -> None:
    config = study_config(search={"shapes": "native", "strategies": ("layer_wise",)})
    space = SearchSpace.of(config, ARCHITECTURE)
    uneven = Candidate(
        strategy="layer_wise", importance="obs", sublayers=(0.0, 0.2, 1.0, 1.0, 0.5, 0.4)
    )
    params = space.to_params(uneven)
    assert params["ffn"] == pytest.approx(0.3)
    assert params["depth"] == pytest.approx(1 / 3)

"""How all studies stand, in the text format that Prometheus reads (version 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pareto_prune.core.version import __version__
from pareto_prune.results.hypervolume import BOX
from pareto_prune.results.status import Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[dict[str, str], float]


def metrics_text(statuses: Sequence[Status]) -> str:
    """Return the metrics of all studies."""
    return "".join(_families(statuses))


def _families(statuses: Sequence[Status]) -> Iterator[str]:
    yield _family("build_info", "Version that serves.", [({"version": __version__}, 1.0)])
    yield _family("trials", "Trials by state.", _trials(statuses))
    yield _family("trials_asked", "Finished trials a study is to have.", _each(statuses, _asked))
    yield _family("workers", "Workers that have not left.", _each(statuses, _workers))
    yield _family("leases", "Workers with a trial in hand.", _each(statuses, _leases))
    yield _family("front_points", "Trials on the front.", _each(statuses, lambda s: s.front))
    shares = f"Share of the box, version {BOX.version}, that the front dominates."
    yield _family("hypervolume", shares, _volumes(statuses))


def _family(name: str, meaning: str, samples: Iterable[Sample]) -> str:
    name = f"pareto_prune_{name}"
    lines = [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
    lines += [f"{name}{{{_labels(labels)}}} {value:g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _each(statuses: Sequence[Status], value: object) -> list[Sample]:
    return [({"study": s.study}, float(value(s))) for s in statuses]  # type: ignore[operator]


def _trials(statuses: Sequence[Status]) -> Iterator[Sample]:
    for status in statuses:
        for state, number in sorted(status.states.items()):
            yield {"study": status.study, "state": state}, float(number)


def _volumes(statuses: Sequence[Status]) -> Iterator[Sample]:
    for status in statuses:
        if status.hypervolume is not None:
            yield {"study": status.study}, status.hypervolume


def _asked(status: Status) -> int:
    return status.trials_asked


def _workers(status: Status) -> int:
    return len(status.workers)


def _leases(status: Status) -> int:
    return sum(worker.trial is not None for worker in status.workers)

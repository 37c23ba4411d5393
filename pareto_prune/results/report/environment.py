"""The machine and the versions behind the numbers of a study, as rows of the page."""

from __future__ import annotations

from collections import Counter

from pareto_prune.core.quantities import duration
from pareto_prune.core.records import Environment, Study


def environment_rows(study: Study) -> list[list[str]]:
    """Return the machine and the versions behind the numbers, and what else took part."""
    rows = _machine(study.reference.environment) if study.reference else []
    results = [trial.result for trial in study.trials if trial.result]
    devices = Counter(r.environment.device for r in results if r.environment)
    if len(devices) > 1:
        rows.append(["trials by device", ", ".join(f"{d}: {n}" for d, n in devices.most_common())])
    workers = Counter(trial.worker for trial in study.trials if trial.worker)
    if workers:
        rows.append(["workers", str(len(workers))])
    spent = sum(r.timings.get("total", 0.0) for r in results)
    if spent:
        rows.append(["time in trials", duration(spent)])
    return rows


def _machine(environment: Environment) -> list[list[str]]:
    versions = ", ".join(f"{name} {version}" for name, version in environment.versions.items())
    rows = [
        ["device", environment.device],
        ["cores", str(environment.cores)],
        ["threads", str(environment.threads)],
        ["memory", f"{environment.memory_gib:.1f} GiB"],
        ["system", environment.system],
        ["python", environment.python],
        ["versions", versions],
        ["commit", environment.commit or ""],
        *([key, value] for key, value in environment.details.items()),
    ]
    return [row for row in rows if row[1]]

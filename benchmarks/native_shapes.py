"""What native shapes cost: the same search twice, with layers of any width and with layers alike.

Real trials of the demo model on the demo data, the defaults otherwise. For every seed the two arms
run back to back for the same time, each with a cache of its own; which is first changes with the
seed, so that a machine that slows down favours neither. The dense model is given to both.

``uneven``
    The defaults.
``native``
    ``shapes = "native"``: what transformers loads by the name of the architecture alone.
``uneven, native points``
    What of the first arm's trials happens to be native.

    python benchmarks/native_shapes.py [--quick] [--json FILE] [--minutes 20] [--seeds 0,1]
        [--strategies balanced,layer_wise,l1] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from search_quality import QUICK_LIMIT_S, Arm, config_of, give_dense, searched

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import Study
from pareto_prune.measure import measurer
from pareto_prune.measure.environment import environment
from pareto_prune.results.front import front_of

ARMS = ("uneven", "native")
BY_CHANCE = "uneven, native points"
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both arms for every seed and print the table."""
    options = _options(arguments)
    if options.quick:
        measurer.LIMIT_S = QUICK_LIMIT_S
    with tempfile.TemporaryDirectory() as beside:
        root = Path(beside if options.quick else options.folder).resolve()
        rows = [
            row for seed in map(int, options.seeds.split(",")) for row in pair(options, root, seed)
        ]
    print_rows(rows)
    for line in verdicts(rows):
        print(line)
    if options.json:
        content = {"rows": rows, "environment": environment().to_json()}
        options.json.write_text(json.dumps(content, indent=1))


def pair(options: argparse.Namespace, root: Path, seed: int) -> Iterator[Row]:
    """Run both arms of one seed, one after the other, and yield their rows."""
    for name in ARMS if seed % 2 == 0 else ARMS[::-1]:
        arm = arm_of(name, options, root, seed)
        give_dense(arm, root)
        study = searched(arm)
        yield row_of(name, seed, study)
        if name == "uneven":
            yield row_of(BY_CHANCE, seed, study, native=True)


def arm_of(name: str, options: argparse.Namespace, root: Path, seed: int) -> Arm:
    """Return one arm, with a folder of its own."""
    content = config_of(name, seed, root, options.quick).to_json()
    content["search"] |= {"shapes": name, "strategies": options.strategies.split(",")}
    folder = root / f"{name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    seconds = None if options.quick else 60 * options.minutes
    return Arm(name, seed, StudyConfig.from_json(content), folder, seconds)


def row_of(name: str, seed: int, study: Study, native: bool = False) -> Row:
    """Return what the front of an arm amounts to."""
    front = front_of(study, native=native)
    speed = {f"speedup_{at.points}_points": at.speedup for at in front.at_points_lost}
    return {
        "arm": name,
        "seed": seed,
        "trials": front.finished,
        "points": len(front.members),
        "hypervolume": front.hypervolume,
        "hypervolume_v1": front.hypervolume_v1,
        **speed,
    }


def print_rows(rows: Sequence[Row]) -> None:
    """Print one line an arm and seed."""
    head = f"{'arm':<23}{'seed':>5}{'trials':>8}{'points':>8}{'volume':>9}"
    print(head + "".join(f"{f'{points} lost':>9}" for points in (1, 2, 3)))
    for row in rows:
        volume = "–" if row["hypervolume"] is None else f"{row['hypervolume']:.4f}"
        line = f"{row['arm']:<23}{row['seed']:>5}{row['trials']:>8}{row['points']:>8}{volume:>9}"
        speeds = [row.get(f"speedup_{points}_points") for points in (1, 2, 3)]
        print(line + "".join(f"{'–' if s is None else f'{s:.2f}×':>9}" for s in speeds))


def verdicts(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the share of the uneven hypervolume that native shapes reach, seed by seed."""
    volumes = {(row["arm"], row["seed"]): row["hypervolume"] for row in rows}
    shares = [
        volumes["native", seed] / volume
        for (arm, seed), volume in volumes.items()
        if arm == "uneven" and volume and volumes["native", seed] is not None
    ]
    if shares:
        each = ", ".join(f"{share:.3f}" for share in shares)
        yield f"native / uneven hypervolume: {statistics.mean(shares):.3f} ({each})"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two layers, three trials an arm")
    parser.add_argument("--json", type=Path, help="write rows and environment to this file")
    parser.add_argument("--minutes", type=float, default=20.0, help="of each arm")
    parser.add_argument("--seeds", default="0,1", help="comma-separated")
    parser.add_argument("--strategies", default="balanced,layer_wise,l1", help="comma-separated")
    parser.add_argument(
        "--folder", type=Path, default=Path("pareto_prune_output/native_shapes"), help="kept here"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

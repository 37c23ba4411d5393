"""``python -m pareto_prune.cli``."""

from pareto_prune.cli import main

main()

"""Trade-offs between accuracy, latency and energy of pruned BERT-family models."""

from __future__ import annotations

__version__ = "0.1.0"

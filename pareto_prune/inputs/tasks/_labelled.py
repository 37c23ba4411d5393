"""What tasks have in common that learn from labels, with a head of their own.

A member inherits it, and is asked no more than its labels, logits and scores.
"""

from __future__ import annotations

from typing import ClassVar


class Labelled:
    """Answers of a task whose dense model has a head that was trained on labels."""

    problem_type: ClassVar[str | None] = None

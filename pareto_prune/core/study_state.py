"""What a study was told last: to go on, to pause, or to end for good."""

from __future__ import annotations

from enum import StrEnum


class StudyState(StrEnum):
    """What a study was told last.

    ``open``: workers begin trials. ``paused``: none is begun until it is resumed, running ones end.
    ``stopped``: the same, for good. ``cancelled``: for good, and running ones were handed back.
    """

    OPEN = "open"
    PAUSED = "paused"
    STOPPED = "stopped"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether no trial of the study is ever begun again."""
        return self in (StudyState.STOPPED, StudyState.CANCELLED)

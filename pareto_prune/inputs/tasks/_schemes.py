"""Tag schemes that mark where a span ends: IOBES (``E-``, ``S-``) and BILOU (``L-``, ``U-``).

Tags are IOB2 everywhere else; a checkpoint's head that was trained in one of these is taught and
scored in its own tags.
"""

from __future__ import annotations

from collections.abc import Sequence

from pareto_prune.inputs.tasks._spans import split_tag

_ENDINGS = (("E", "S"), ("L", "U"))
"""Prefixes of the last word of a span, and of a span of one word."""


def are_whole(names: Sequence[str]) -> bool:
    """Return whether names are tags of IOB2, or of one scheme with an ending for every type."""
    ending = _ending(names)
    prefixes = {"B", "I", *(ending or ())}
    kinds = {name.partition("-")[2] for name in names} - {""}
    return set(names) == {"O", *(f"{prefix}-{kind}" for prefix in prefixes for kind in kinds)}


def in_scheme(tags: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the IOB2 tags of one sentence in the scheme of ``names``."""
    ending = _ending(names)
    if ending is None:
        return list(tags)
    return [
        _ended(tag, ending) if after != f"I-{tag[2:]}" else tag
        for tag, after in zip(tags, [*tags[1:], "O"], strict=True)
    ]


def in_iob2(name: str) -> str:
    """Return a tag of any scheme in IOB2."""
    prefix, kind = split_tag(name)
    return f"{prefix}-{kind}" if kind else prefix


def _ending(names: Sequence[str]) -> tuple[str, str] | None:
    prefixes = {name.partition("-")[0] for name in names}
    return next((ending for ending in _ENDINGS if prefixes & set(ending)), None)


def _ended(tag: str, ending: tuple[str, str]) -> str:
    last, single = ending
    return tag if tag == "O" else f"{last if tag[0] == 'I' else single}{tag[1:]}"

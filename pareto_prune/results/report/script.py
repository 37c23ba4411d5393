"""The script of the page: the files of ``templates/script`` as one text that needs no loader.

They are native ES modules, each with its imports at its top, and a page that is opened from a file
cannot import from a file beside it. So every module becomes a function that is called at once and
gives what the module exports, and its imports are taken out of what the modules before it gave.
Modules stand in the order of their imports, which is derived from them; ``main.js``, which nobody
imports, is last. Imports have the form ``import { a, b } from "./other.js";`` or
``import "./other.js";``, and what is exported is declared by ``export const`` or
``export function``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter
from importlib.resources import files

_IMPORT = re.compile(r'^import (?:(\{[^}]*\}) from )?"\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|function|async function) ([\w$]+))", re.MULTILINE)


def script_of_page() -> str:
    """Return the whole script of the page."""
    return bundled(modules())


def modules() -> dict[str, str]:
    """Return the modules of the page by the names of their files, as they are written."""
    folder = files("pareto_prune.results.report").joinpath("templates", "script")
    found = sorted(folder.iterdir(), key=lambda file: file.name)
    return {file.name: file.read_text(encoding="utf-8") for file in found}


def bundled(sources: Mapping[str, str]) -> str:
    """Return the modules as one script, in which each stands behind all that it imports.

    Args:
        sources: the modules by the names of their files.

    Raises:
        ValueError: modules import each other in a circle.
        KeyError: a module imports one that is not there.
    """
    imports = {name: _imported(source) for name, source in sources.items()}
    order = TopologicalSorter(imports).static_order()
    called = [_called(name, sources[name]) for name in order]
    return "\n".join(['"use strict";', "const modules = {};", *called])


def _imported(source: str) -> list[str]:
    return [found[2] for found in _IMPORT.finditer(source)]


def _called(name: str, source: str) -> str:
    """Return a module as a function, called at once, whose value is what the module exports."""
    exports = ", ".join(found[1] for found in _EXPORT.finditer(source))
    body = _EXPORT.sub("", _IMPORT.sub(_taken, source))
    return f'modules["{name}"] = (() => {{\n{body}\nreturn {{ {exports} }};\n}})();'


def _taken(found: re.Match[str]) -> str:
    names, name = found.groups()
    return f'const {names} = modules["{name}"];\n' if names else ""

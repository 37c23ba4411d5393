"""Write ``docs/command-line.md`` and ``docs/study-file.md`` from the code (``make docs``)."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pydantic
from pydantic_core import PydanticUndefined

from pareto_prune.core.config import Range, StudyConfig
from pareto_prune.core.registry import Registry
from pareto_prune.pruning.strategies import strategies
from pareto_prune.search.samplers import samplers

FOLDER = Path(__file__).parent
WIDTH = 100


def command_line() -> str:
    """Return the reference of every verb: its help, as the terminal prints it."""
    from typer.main import get_command
    from typer.testing import CliRunner

    from pareto_prune.cli import app

    runner = CliRunner()

    def help_of(*verbs: str) -> str:
        result = runner.invoke(app, [*verbs, "--help"], terminal_width=WIDTH)
        lines = (line.rstrip() for line in result.output.strip().splitlines())
        return "\n".join(lines)

    parts = ["# The command line\n\nWritten by `make docs`.\n", f"```text\n{help_of()}\n```\n"]
    for name, command in sorted(get_command(app).commands.items()):  # type: ignore[attr-defined]
        parts.append(f"## {name}\n\n```text\n{help_of(name)}\n```\n")
        subs = sorted(getattr(command, "commands", {}))
        parts += [f"### {name} {sub}\n\n```text\n{help_of(name, sub)}\n```\n" for sub in subs]
    return "\n".join(parts)


def study_file() -> str:
    """Return the reference of every key of the study file, with its type and default."""
    lines = [
        "# The study file",
        "",
        "Written by `make docs`. TOML; every key has a default, but for those marked *required*.",
        "`pareto-prune validate STUDY.toml` reports all problems of a file at once.",
        "",
    ]
    lines += _table("", StudyConfig)
    for name, field in StudyConfig.model_fields.items():
        if _is_table(field.annotation):
            lines += _table(name, field.annotation)
    lines += _members("strategy", strategies)
    lines += _members("sampler", samplers)
    return "\n".join(lines) + "\n"


def _is_table(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, pydantic.BaseModel)


def _table(name: str, table: Any) -> Iterator[str]:
    doc = inspect.cleandoc(table.__doc__ or "").replace("``", "`")
    if not name:
        doc = "What stands above all tables."
    yield from (f"## {f'`[{name}]`' if name else 'Top level'}", "", doc.partition("\n\n")[0])
    rest = doc.partition("\n\n")[2]
    if rest:
        yield from ("", rest)
    yield from ("", "| key | type | default | meaning |", "| --- | --- | --- | --- |")
    for key, field in table.model_fields.items():
        if not _is_table(field.annotation) or issubclass(field.annotation, Range):
            default = "*required*" if field.is_required() else _shown(field.get_default())
            meaning = (field.description or "").replace("\n", " ").replace("|", "\\|")
            yield f"| `{key}` | {_type(field)} | {default} | {meaning} |"
    yield ""


def _type(field: Any) -> str:
    text = _type_name(field.annotation)
    return text.replace("|", "\\|")


def _type_name(annotation: Any) -> str:
    origin = get_origin(annotation)
    if str(origin) == "typing.Annotated" or hasattr(annotation, "__metadata__"):
        return _type_name(get_args(annotation)[0])
    if str(origin) == "typing.Literal":
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if origin is tuple:
        inner = dict.fromkeys(_type_name(a) for a in get_args(annotation) if a is not ...)
        return "list of " + " or ".join(inner)
    if origin is dict:
        return "table"
    if get_args(annotation):
        names = (_type_name(a) for a in get_args(annotation) if a is not type(None))
        return " or ".join(dict.fromkeys(names))
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
    name = getattr(annotation, "__name__", str(annotation))
    return "{ low, high }" if name == "Range" else names.get(name, name)


def _shown(value: Any) -> str:
    if value is None or value is PydanticUndefined:
        return "–"
    if isinstance(value, Range):
        return f"`{{ low = {value.low}, high = {value.high} }}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        inner = ", ".join(f"{k} = {v}" for k, v in value.items())
        return f"`{{ {inner} }}`" if inner else "`{}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(_quoted(v) for v in value) + "]`"
    return f"`{_quoted(value)}`"


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _members(table: str, family: Registry[Any]) -> Iterator[str]:
    for name in family.names():
        member = family.member(name)
        fields = dataclasses.fields(member)
        if not fields:
            continue
        title = f"`[{table}.{name}]`" if table == "strategy" else f"`[{table}]` with `{name}`"
        doc = inspect.cleandoc(member.__doc__ or "").replace("``", "`")
        yield from (f"## {title}", "", doc.partition("\n\n")[0], "")
        yield from ("| key | default | meaning |", "| --- | --- | --- |")
        meanings = dict(re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", doc, re.MULTILINE))
        for field in fields:
            meaning = re.sub(r"\s+", " ", meanings.get(field.name, ""))
            yield f"| `{field.name}` | {_shown(field.default)} | {meaning} |"
        yield ""


PAGES = {"command-line.md": command_line, "study-file.md": study_file}


def main() -> int:
    """Write the pages, or with ``--check`` say which are out of date."""
    stale = [n for n, page in PAGES.items() if _content(FOLDER / n) != page()]
    if "--check" in sys.argv:
        print("\n".join(f"docs/{name} is out of date: make docs" for name in stale))
        return int(bool(stale))
    for name in stale:
        (FOLDER / name).write_text(PAGES[name](), encoding="utf-8")
    return 0


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())

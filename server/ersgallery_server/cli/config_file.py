"""The TOML file of --config: which of its values is the default of which option."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

_PLAIN = (str, int, float)


class FileProblem(Exception):
    """The file has something that no command understands; the text names it."""


def defaults_from(values: Mapping[str, Any], group: click.Group) -> dict[str, Any]:
    """Return click's default_map: values of a table are for its command, values above it for all that know them.

    Raises FileProblem for a key that no option has, and for values that are neither text, number nor boolean.
    """
    return _of_group(values, group, {}, "")


def _of_group(values: Mapping[str, Any], group: click.Group, above: Mapping[str, Any], place: str) -> dict[str, Any]:
    own, tables = _split(values)
    unknown = own.keys() - set(_names_below(group))
    if unknown:
        raise FileProblem(f"no option is called {_listed(unknown, place)}")
    if wrong := tables.keys() - group.commands.keys():
        raise FileProblem(f"no command is called {_listed(wrong, place)}")
    inherited = {**above, **own}
    return {
        name: _of_command(tables.get(name, {}), command, inherited, f"{place}{name}.")
        for name, command in group.commands.items()
    }


def _of_command(
    values: Mapping[str, Any], command: click.Command, above: Mapping[str, Any], place: str
) -> dict[str, Any]:
    if isinstance(command, click.Group):
        return _of_group(values, command, above, place)
    own, tables = _split(values)
    options = dict(_options(command))
    if unknown := (own.keys() - options.keys()) | tables.keys():
        raise FileProblem(f"no option is called {_listed(unknown, place)}")
    return {options[name]: value for name, value in {**above, **own}.items() if name in options}


def _split(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return plain values and tables."""
    tables = {key: value for key, value in values.items() if isinstance(value, dict)}
    plain = {key: value for key, value in values.items() if key not in tables}
    for key, value in plain.items():
        if not isinstance(value, _PLAIN):
            raise FileProblem(f"{key} is neither a text, a number nor a boolean")
    return plain, tables


def _options(command: click.Command) -> Iterator[tuple[str, str]]:
    """Yield each option's name in the file with the one click knows it by."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name:
            for option in parameter.opts:
                yield option.removeprefix("--").replace("-", "_"), parameter.name


def _names_below(command: click.Command) -> Iterator[str]:
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from _names_below(each)
    else:
        yield from (name for name, _ in _options(command))


def _listed(keys: set[str], place: str) -> str:
    return ", ".join(sorted(f"{place}{key}" for key in keys))

"""Command lines built from functions: type hints define valid values, docstrings the text of ``--help``.

A positional parameter without a default becomes a positional argument; every other is an option, spelt with
dashes (``--max-unreadable``). The Python names, with underscores, are accepted as well; YAML files
(``--config``) use only these.
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args, get_origin

import jsonargparse

from model.errors import ConfigError, SkinDiseaseNetError

Command: TypeAlias = "Callable[..., int | None] | Mapping[str, Command]"
"""A function that returns None or the exit status; or a mapping of subcommands."""

_INTERRUPTED = 130
"""The exit status after Ctrl-C, by the convention of shells."""


_METAVARS = {bool: "true,false", float: "NUMBER", int: "N"}


class _Formatter(jsonargparse.DefaultHelpFormatter):
    """Shows an option's purpose and default; the metavar shows its type."""

    def _get_help_string(self, action: Any) -> str:
        text = (action.help or "").replace("``", "").replace("%", "%%")
        default = action.default
        if not action.option_strings or any(default is none for none in (None, False, argparse.SUPPRESS)):
            return text
        words = ", ".join(map(str, default)) if isinstance(default, (list, tuple)) else str(default)
        return f"{text} (default: {words})" if words else text


class _Parser(jsonargparse.ArgumentParser):
    """The parser for one function: dashes, flags, and lists as shells expand them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lists: dict[str, bool] = {}  # option → whether a single word is a list too
        self._needed: set[str] = set()
        super().__init__(*args, formatter_class=_Formatter, print_config="--print-config", **kwargs)

    def add_argument(self, *names: str, **kwargs: Any) -> Any:
        """Add an argument; a parameter named ``max_unreadable`` becomes ``--max-unreadable``."""
        # The parent passes simple types as `type` and all others in an action.
        kind = kwargs.get("type") or getattr(kwargs.get("action"), "_typehint", None)
        if not names[0].startswith("-"):
            if _is_list(kind):
                kwargs = {"nargs": "+", "type": get_args(kind)[0], "help": kwargs.get("help")}
            return super().add_argument(*names, **kwargs)
        if metavar := _metavar(kind):
            kwargs["metavar"] = metavar
        if kind is bool:
            kwargs |= {"nargs": "?", "const": True}
        shown = tuple(name.replace("_", "-") for name in names if not name.endswith("+"))
        action = super().add_argument(*shown, **kwargs)
        if names[0] == "--print-config":
            action.help = "print these options and their current values as YAML, and exit"
        for name in (*names, *shown):
            self._option_string_actions[name] = action
            if _is_list(kind) or any(map(_is_list, get_args(kind))):
                self._lists[name] = _is_list(kind)
        if kwargs.get("required"):
            self._needed.add(shown[0])
        return action

    def parse_args(self, args: Any = None, *rest: Any, **kwargs: Any) -> Any:
        """Parse the arguments, after converting ``--data A B`` to the list syntax of jsonargparse."""
        return super().parse_args(self._joined(list(args)), *rest, **kwargs)

    def _joined(self, words: list[str]) -> list[str]:
        found: list[str] = []
        while words:
            name, given, value = words.pop(0).partition("=")
            if name not in self._lists:
                found.append(f"{name}{given}{value}")
                continue
            values = [value] if given else []
            while not given and words and not words[0].startswith("--"):
                values.append(words.pop(0))
            alone = len(values) == 1 and (not self._lists[name] or values[0].startswith("["))
            found.append(f"{name}={values[0] if alone else json.dumps(values, allow_nan=False)}")
        return found

    def format_usage(self) -> str:
        """One line with the required arguments; ``--help`` lists the rest."""
        words = ["usage:", self.prog]
        for action in self._actions:
            name = str(action.metavar or action.dest).upper()
            if not action.option_strings:
                words.append(f"{name} ..." if action.nargs == "+" else name)
            elif action.option_strings[0] in self._needed:
                words.append(f"{action.option_strings[0]} {name}")
        return " ".join([*words, "[options]\n"])

    def format_help(self, formatter: argparse.HelpFormatter | None = None) -> str:
        """The usage, what the function does, and one entry per option."""
        self.usage = self.format_usage().removeprefix("usage: ").strip()
        return super().format_help(formatter)


def _metavar(kind: Any) -> str | None:
    """The placeholder for values of a type; None to use the option's name."""
    if _is_list(kind):
        return f"{_metavar(get_args(kind)[0]) or 'X'} ..."
    if get_origin(kind) is Literal:
        return f"{{{','.join(get_args(kind))}}}"
    return _METAVARS.get(kind) or next((found for part in get_args(kind) if (found := _metavar(part))), None)


def _is_list(kind: Any) -> bool:
    return get_origin(kind) in (list, Sequence)


def run(
    commands: Mapping[str, Command],
    arguments: list[str] | None,
    *,
    program: str,
    about: str,
    aliases: Mapping[str, str] | None = None,
) -> int:
    """Run the command that the first word names.

    Args:
        commands: name → command; the first line of a function's docstring describes it.
        arguments: the words; None for ``sys.argv``.
        program: its name, for the usage.
        about: one line about all commands.
        aliases: other names → names of ``commands``.

    Returns:
        The exit status: 0, or 1 after an error, which was printed for people.

    Raises:
        SystemExit: after ``--help`` (0), or if the arguments are not valid (2).
    """
    for stream in (sys.stdout, sys.stderr):  # file names that are not UTF-8 must not crash a command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else arguments
    function, program, rest = _chosen(commands, list(words), program, about, aliases or {})
    try:
        status = jsonargparse.auto_cli(
            function,
            args=rest,
            prog=program,
            parser_class=_Parser,
            config_help="YAML file with any of these options, spelt with underscores",
        )
        return int(status or 0)
    except (SkinDiseaseNetError, OSError) as error:  # OSError: a full disk, a folder without rights
        print(f"error: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        missing = ConfigError(
            f"`{program}` needs {error.name}, which is not installed here.",
            hint="Install everything: pip install -r requirements.txt",
        )
        print(f"error: {missing}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return _INTERRUPTED
    return 1


def _chosen(
    commands: Mapping[str, Command],
    words: list[str],
    program: str,
    about: str,
    aliases: Mapping[str, str],
) -> tuple[Callable[..., int | None], str, list[str]]:
    """Find the function that the words name; return it, its full name, and the remaining words."""
    if not words or words[0] in ("-h", "--help"):
        print(_page(commands, program, about, aliases), file=sys.stdout if words else sys.stderr)
        raise SystemExit(0 if words else 2)
    name, *rest = words
    command = commands.get(aliases.get(name, name))
    if command is None:
        near = difflib.get_close_matches(name, [*commands, *aliases], n=1)
        hint = f"Did you mean {near[0]}?" if near else f"The commands are: {', '.join(commands)}."
        print(f"error: {program} has no command {name!r}. {hint}", file=sys.stderr)
        raise SystemExit(2)
    if isinstance(command, Mapping):
        return _chosen(command, rest, f"{program} {name}", f"The commands of {name}.", {})
    return command, f"{program} {name}", rest


def _page(commands: Mapping[str, Command], program: str, about: str, aliases: Mapping[str, str]) -> str:
    lines = [f"usage: {program} COMMAND [options]", "", about, "", "commands:"]
    width = max(map(len, commands)) + 2
    for name, command in commands.items():
        others = [other for other, meant in aliases.items() if meant == name]
        also = f" (also: {', '.join(others)})" if others else ""
        lines.append(f"  {name:{width}}{_summary(command)}{also}")
    return "\n".join([*lines, "", f"`{program} COMMAND --help` lists the options of a command."])


def _summary(command: Command) -> str:
    if isinstance(command, Mapping):
        return ", ".join(command)
    return (inspect.getdoc(command) or "").partition("\n")[0].rstrip(".")

"""`dkron completion SHELL`: a script by which a shell completes commands, options, their choices, and names of jobs.

The grammar is read off the parser. Names come from the server, by `dkron job list`, when the tab key is pressed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from dkronpy.cli.exits import Exit
from dkronpy.cli.parser import add_command

if TYPE_CHECKING:
    from argparse import Namespace

    from dkronpy.cli.context import Context
    from dkronpy.cli.parser import Subcommands

SHELLS: Final = ("bash", "zsh", "fish")
_NAMES: Final = {
    "JOB": "job list",
    "NODE": "node list",
    "GROUP": "group list",
    "CALENDAR": "calendar list",
}
"""By what an argument is called: the command that lists the names it may have."""
_FILES: Final = frozenset({"FILE", "FILE.timer", "URL|FILE", "DIR"})


class Option(NamedTuple):
    """`values` are those it may have, or the command that lists them, or `file`; empty: nothing is known of them."""

    names: tuple[str, ...]
    about: str
    takes: bool
    values: tuple[str, ...] | str


class Node(NamedTuple):
    """A command: its words after `dkron`, what may follow, and what its first argument is."""

    path: tuple[str, ...]
    commands: tuple[tuple[str, str], ...]
    """With what each does."""
    options: tuple[Option, ...]
    argument: tuple[str, ...] | str


def add_commands(commands: Subcommands) -> None:
    completion = add_command(
        commands,
        "completion",
        print_completion,
        "print a script that lets a shell complete commands and names",
        examples=[
            "dkron completion bash > /etc/bash_completion.d/dkron",
            "echo 'source <(dkron completion zsh)' >> ~/.zshrc",
            "dkron completion fish > ~/.config/fish/completions/dkron.fish",
        ],
    )
    completion.add_argument("shell", choices=SHELLS)


def print_completion(context: Context, arguments: Namespace) -> Exit:
    from dkronpy.cli.main import build_parser

    nodes = list(grammar(build_parser()))
    scripts = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    context.output.write(scripts[arguments.shell](nodes))
    return Exit.OK


def grammar(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[Node]:
    """Every command with its options, from the top down."""
    commands: list[tuple[str, str]] = []
    options: list[Option] = []
    argument: tuple[str, ...] | str = ""
    below: list[tuple[str, argparse.ArgumentParser]] = []
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]  # argparse shows its grammar nowhere else
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
            about = {choice.dest: choice.help or "" for choice in action._choices_actions}  # pyright: ignore[reportPrivateUsage]
            below = [*cast("dict[str, argparse.ArgumentParser]", cast("Any", action).choices).items()]
            commands = [(name, about.get(name) or about.get(_own_name(found), "")) for name, found in below]
        elif action.option_strings:
            help = "" if action.help in (None, argparse.SUPPRESS) else str(action.help).replace("%%", "%")
            options.append(Option(tuple(action.option_strings), help, action.nargs != 0, _values(action)))
        else:
            argument = argument or _values(action)
    yield Node(path, tuple(commands), tuple(options), argument)
    for name, found in below:
        yield from grammar(found, (*path, name))


def _own_name(parser: argparse.ArgumentParser) -> str:
    """A command's name where it is called by another one."""
    return parser.prog.rpartition(" ")[2]


def _values(action: argparse.Action) -> tuple[str, ...] | str:
    choices: Any = action.choices
    if choices is not None:
        return tuple(map(str, choices))
    name = action.metavar if isinstance(action.metavar, str) else ""
    return "file" if name in _FILES else _NAMES.get(name, "")


def _taking(nodes: Iterable[Node]) -> list[str]:
    """The options that take a value."""
    return sorted({name for node in nodes for option in node.options if option.takes for name in option.names})


def _words(values: tuple[str, ...] | str) -> str:
    """Bash: what gives the words that may follow."""
    if isinstance(values, tuple):
        return f'COMPREPLY=($(compgen -W "{" ".join(values)}" -- "$cur"))'
    if values == "file":
        return 'COMPREPLY=($(compgen -f -- "$cur"))'
    return f'COMPREPLY=($(compgen -W "$(_dkron_names {values})" -- "$cur"))' if values else "COMPREPLY=()"


def _bash(nodes: list[Node]) -> str:
    lines = [
        "# bash completion of dkron",
        "_dkron_names() {",
        '    dkron "$@" --format tabular 2>/dev/null | tail -n +2 | cut -f 1',
        "}",
        "_dkron() {",
        '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" at="" word="" skip="" i',
        "    COMPREPLY=()",
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        '        word="${COMP_WORDS[i]}"',
        '        if [[ -n $skip ]]; then skip=""; continue; fi',
        '        case "$word" in',
        f"            {'|'.join(_taking(nodes))}) skip=1 ;;",
        "            -*) ;;",
        '            *) case " $_dkron_paths " in *" $at/$word "*) at="$at/$word" ;; esac ;;',
        "        esac",
        "    done",
        '    case "$at $prev" in',
    ]
    for node in nodes:
        for option in node.options:
            if option.takes:
                where = "|".join(f'"/{"/".join(node.path)} {name}"' for name in option.names).replace('"/ ', '" ')
                lines.append(f"        {where}) {_words(option.values)}; return ;;")
    lines += ["    esac", '    case "$at" in']
    for node in nodes:
        path = "".join(f"/{name}" for name in node.path)
        options = " ".join(name for option in node.options for name in option.names)
        first = tuple(name for name, _ in node.commands) or node.argument
        lines.append(
            f'        "{path}") if [[ $cur == -* ]]; then {_words(tuple(options.split()))}; else {_words(first)}; fi ;;'
        )
    paths = " ".join("".join(f"/{name}" for name in node.path) for node in nodes if node.path)
    lines += ["    esac", "}", f'_dkron_paths="{paths}"', "complete -F _dkron dkron"]
    return "\n".join(lines) + "\n"


def _zsh(nodes: list[Node]) -> str:
    """The same script: zsh reads completions of bash."""
    return "autoload -Uz +X bashcompinit && bashcompinit\n" + _bash(nodes)


def _fish(nodes: list[Node]) -> str:
    lines = [
        "# fish completion of dkron",
        "function __dkron_names",
        "    dkron $argv --format tabular 2>/dev/null | tail -n +2 | cut -f 1",
        "end",
        "function __dkron_words",
        f"    set -l takes {' '.join(_taking(nodes))}",
        "    set -l skip",
        "    for word in (commandline -opc)[2..-1]",
        '        if test -n "$skip"',
        "            set skip",
        "        else if contains -- $word $takes",
        "            set skip 1",
        "        else if not string match -q -- '-*' $word",
        "            echo $word",
        "        end",
        "    end",
        "end",
        "function __dkron_at  # the words are these",
        "    set -l found (__dkron_words)",
        '    test "$found" = "$argv"',
        "end",
        "function __dkron_in  # the words begin with these",
        "    set -l found (__dkron_words)",
        '    string match -q -- "$argv *" "$found "',
        "end",
        "complete -c dkron -f",
    ]
    for node in nodes:
        where = f"__dkron_in {' '.join(node.path)}"
        at = f"__dkron_at {' '.join(node.path)}".rstrip()
        for name, about in node.commands:
            lines.append(f"complete -c dkron -n {_quoted(at)} -a {_quoted(name)} -d {_quoted(about)}")
        if node.argument:
            lines.append(f"complete -c dkron -n {_quoted(where)} {_fish_values(node.argument)}")
        for option in node.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            values = f" {'-r' if option.values == 'file' else '-x'} {_fish_values(option.values)}".rstrip()
            values = values if option.takes else ""
            condition = f" -n {_quoted(where)}" if node.path else ""
            lines.append(f"complete -c dkron{condition} {names}{values} -d {_quoted(option.about)}")
    return "\n".join(lines) + "\n"


def _fish_values(values: tuple[str, ...] | str) -> str:
    if isinstance(values, tuple):
        return f"-a {_quoted(' '.join(values))}"
    return "-F" if values == "file" else f"-a {_quoted(f'(__dkron_names {values})')}" if values else ""


def _quoted(text: str) -> str:
    """A text in fish's single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

"""``fastconv completion SHELL``: a script that completes commands, options and their words in bash, zsh or fish.

The script is made from the parsers of the commands, so it knows what this version knows, and needs no Python to run.
Whatever takes a file, and every positional argument, is completed by the shell's own names of files.
"""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Iterator

from fastconv.cli.arguments import Parser, UsageError, nearest
from fastconv.cli.commands import COMMANDS, load_command
from fastconv.cli.output import Result

_DESCRIPTION = """\
Prints a script that completes the commands of fastconv, their options and the words that options take.

bash:  fastconv completion bash > ~/.local/share/bash-completion/completions/fastconv
       or, in ~/.bashrc: source <(fastconv completion bash)
zsh:   fastconv completion zsh > DIRECTORY/_fastconv, in a directory of $fpath
fish:  fastconv completion fish > ~/.config/fish/completions/fastconv.fish"""

_BASH = """\
# bash completion of fastconv, made by: fastconv completion bash
_fastconv() {{
    local words= current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
    if [ "$current" = "=" ]; then  # --option=word comes in three pieces
        current=
    elif [ "$previous" = "=" ]; then
        previous=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{first}"
    else
        case "${{COMP_WORDS[1]}} $previous" in
{values}
        *)
            case "${{COMP_WORDS[1]}}" in
{options}
            esac
            [[ $current == -* || ${{COMP_WORDS[1]}} == @({word_commands}) ]] || return 0
            ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o bashdefault -o default -F _fastconv fastconv
"""

_ZSH = """\
#compdef fastconv
# zsh completion of fastconv, made by: fastconv completion zsh
_fastconv() {{
    if (( CURRENT == 2 )); then
        local -a commands=(
{commands}
        )
        _describe command commands
        return
    fi
    local command=$words[2]
    words=("fastconv $command" "${{(@)words[3,-1]}}")
    (( CURRENT-- ))
    case $command in
{options}
    esac
}}
if [ "$funcstack[1]" = "_fastconv" ]; then _fastconv "$@"; else compdef _fastconv fastconv; fi
"""


def add_options(parser: Parser) -> None:
    parser.description = _DESCRIPTION
    parser.positionals("SHELL", 1, 1, "bash, zsh or fish", words=tuple(_SCRIPTS))


def run(options: Namespace) -> Result:
    shell = options.shell[0]
    if shell not in _SCRIPTS:
        raise UsageError(f"SHELL must be one of {', '.join(_SCRIPTS)}, got {shell!r}{nearest(shell, _SCRIPTS)}")
    script = _SCRIPTS[shell]({name: load_command(name)[1] for name in COMMANDS}).rstrip()
    return Result({"shell": shell, "script": script}, script)


def _bash(parsers: dict[str, Parser]) -> str:
    values, options = [], []
    for name, parser in parsers.items():
        # Without words there is nothing to offer, and bash goes on to the names of files.
        by_words: dict[str, list[str]] = {}
        for names, action in _options(parser):
            if action.nargs != 0:
                by_words.setdefault(_words(action), []).extend(f"'{name} {one}'" for one in names)
        values += [f'        {"|".join(before)}) words="{words}" ;;' for words, before in by_words.items()]
        words = " ".join([*(one for names, _ in _options(parser) for one in names if one.startswith("--")),
                          *parser.words])
        options.append(f'            {name}) words="{words}" ;;')
    options.append(f'            help) words="{" ".join(parsers)}" ;;')
    takes_words = "|".join([name for name, parser in parsers.items() if parser.words] + ["help"])
    return _BASH.format(first=" ".join([*parsers, "help", "version", "--help", "--version"]), values="\n".join(values),
                        options="\n".join(options), word_commands=takes_words)  # fmt: skip


def _zsh(parsers: dict[str, Parser]) -> str:
    commands = [f"            {_quoted(f'{name}:{summary}')}" for name, summary in _summaries()]
    cases = []
    for name, parser in parsers.items():
        specs = []
        for names, action in _options(parser):
            text = (_help(parser, action).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
                    .replace(":", "\\:"))
            words = _words(action)
            value = "" if action.nargs == 0 else f":{action.metavar}:{f'({words})' if words else '_files'}"
            specs += [_quoted(f"{one}[{text}]{value}") for one in names]
        specs.append(f"'*:argument:{'(' + ' '.join(parser.words) + ')' if parser.words else '_files'}'")
        cases.append(f"    {name}) _arguments {' '.join(specs)} ;;")
    cases.append(f"    help) _arguments '*:command:({' '.join(parsers)})' ;;")
    return _ZSH.format(commands="\n".join(commands), options="\n".join(cases))


def _fish(parsers: dict[str, Parser]) -> str:
    lines = ["# fish completion of fastconv, made by: fastconv completion fish"]
    lines += [f"complete -c fastconv -f -n __fish_use_subcommand -a {name} -d {_quoted(summary)}"
              for name, summary in _summaries()]  # fmt: skip
    for name, parser in parsers.items():
        here = f"complete -c fastconv -n '__fish_seen_subcommand_from {name}'"
        if parser.words:
            lines.append(f"{here} -f -a {_quoted(' '.join(parser.words))}")
        for names, action in _options(parser):
            dashes = " ".join(f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" for one in names)
            words = _words(action)
            value = "" if action.nargs == 0 else f" -x -a {_quoted(words)}" if words else " -r"
            lines.append(f"{here} {dashes}{value} -d {_quoted(_help(parser, action))}")
    lines.append(f"complete -c fastconv -f -n '__fish_seen_subcommand_from help' -a {_quoted(' '.join(parsers))}")
    return "\n".join(lines)


_SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def _summaries() -> Iterator[tuple[str, str]]:
    yield from COMMANDS.items()
    yield "help", "show the options of a command"
    yield "version", "show the version"


def _options(parser: Parser) -> Iterator[tuple[list[str], argparse.Action]]:
    """The names of each option, and the option."""
    for action in parser._actions:
        if action.option_strings:
            yield list(action.option_strings), action


def _words(action: argparse.Action) -> str:
    """What the value of an option can be, where that is not the name of a file."""
    return " ".join(getattr(action.type, "words", ()))


def _help(parser: Parser, action: argparse.Action) -> str:
    """The help of an option, without its default: a line of a menu."""
    return ((action.help or "") % {**vars(action), "prog": parser.prog}).partition(" (default")[0]


def _quoted(text: str) -> str:
    """In single quotes, in which the shells know no other character."""
    return "'" + text.replace("'", "'\\''") + "'"

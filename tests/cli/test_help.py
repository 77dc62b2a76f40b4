import inspect
import re

import click
import pytest
from click.testing import CliRunner

from analyzer.cli import main


def commands(command=main, path=("analyze",)):
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name))


COMMANDS = list(commands())
IDS = [" ".join(path) for path, _ in COMMANDS]
each_command = pytest.mark.parametrize(
    "command", [each for _, each in COMMANDS], ids=IDS
)
each_path = pytest.mark.parametrize("path", [path for path, _ in COMMANDS], ids=IDS)


@each_command
def test_help_starts_with_a_verb_and_ends_with_examples(command):
    text, examples = inspect.cleandoc(command.help).split("\b\nExamples:\n")
    assert re.match(r"[A-Z][a-z]+ [a-z]", text)
    lines = examples.splitlines()
    assert any(line.strip().startswith("analyze ") for line in lines)
    assert all(line.startswith("  ") and len(line) <= 78 for line in lines)


@each_command
def test_every_option_says_what_it_does(command):
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.endswith("."), parameter.name


@each_path
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_fits_eighty_columns(path, option):
    result = CliRunner().invoke(main, [*path[1:], option], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", main.commands_by_name)
def test_the_list_of_commands_says_what_the_commands_say(name):
    command = main.get_command(click.Context(main), name)
    assert command.help.splitlines()[0] == main.commands_by_name[name][1]


def test_an_unknown_command_is_wrong_usage():
    result = CliRunner().invoke(main, ["flow"])
    assert result.exit_code == 2
    assert "flows" in result.stderr

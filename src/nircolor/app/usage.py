"""How commands parse their arguments: plain help, one-line errors with suggestions, variables as defaults."""

import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from nircolor.errors import NircolorError

# titles of the groups of options in the help of a command, and of the options without a group
IN, OUT, RUN, VIDEO = "Input", "Output", "Model and processing", "Video"
_OTHER = "Options"
# key of the values of options as they were written, for messages
_GIVEN = "nircolor.given"
# wordings of Typer's versions
_PLAIN = {
    r"Input should be a valid number.*|'.*' is not a valid float": "expected a number",
    r"Input should be a valid integer.*|'.*' is not a valid int(eger)?": "expected a whole number",
    r"Input should be greater than or equal to (.*)": r"expected \1 or more",
    r"Input should be less than or equal to (.*)": r"expected \1 or less",
    r"\S+ is not in the range x>=(.*)": r"expected \1 or more",
    r"Got unexpected extra argument(?:s|\(s\))? \((.*)\)": r"unexpected argument: \1",
}


class Command(TyperCommand):
    """A command whose help lists its options in groups, and which refuses empty and repeated values.

    Its errors name the environment variable where a value comes from one.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            _check_values(ctx, args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except NircolorError as error:
            variable = _variable_in(ctx, str(error))
            if variable is None:
                raise
            raise NircolorError(f"{error} (from the environment variable {variable})") from error

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        arguments = [one for one in self.get_params(ctx) if one.param_type_name == "argument"]
        return [
            str(self.options_metavar),
            *(_name(one) if one.required else f"[{_name(one)}]" for one in arguments),
        ]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_groups(formatter, ((_group(one), _help_row(one, ctx)) for one in self.get_params(ctx)))


class Group(TyperGroup):
    """The commands, listed in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        commands = [self.get_command(ctx, name) for name in self.list_commands(ctx)]
        shown = [one for one in commands if one is not None and not one.hidden]
        rows = [(_group(one), (str(one.name), one.get_short_help_str(limit=300))) for one in shown]
        _write_groups(formatter, rows)
        _write_groups(formatter, ((_OTHER, one.get_help_record(ctx)) for one in self.get_params(ctx)))


def _group(one: Any) -> str:
    title = getattr(one, "rich_help_panel", None)
    return str(title or ("Arguments" if getattr(one, "param_type_name", "") == "argument" else _OTHER))


def _help_row(one: Any, ctx: Any) -> Any:
    row = one.get_help_record(ctx)
    if row is None or one.param_type_name != "argument":
        return row
    # its place in the usage shows whether an argument is required
    return _name(one), row[1].removesuffix("[required]").strip()


def _write_groups(formatter: Any, rows: Iterable[tuple[str, Any]]) -> None:
    groups: dict[str, list[tuple[str, str]]] = {}
    for title, row in rows:
        if row is not None:
            groups.setdefault(title, []).append(row)
    order = ["Arguments", IN, OUT, RUN, VIDEO, *(title for title in groups if title != _OTHER), _OTHER]
    for title in sorted(groups, key=order.index):
        with formatter.section(title):
            formatter.write_dl(groups[title])


def _check_values(ctx: Any, args: Sequence[str]) -> None:
    """Refuse empty values (``--model $UNSET``), values that are options, and options given twice."""
    options = {
        name: one for one in ctx.command.params if one.param_type_name == "option" for name in one.opts
    }
    given: dict[str, str] = ctx.meta.setdefault(_GIVEN, {})
    words = iter(args)
    for word in words:
        if word == "--":
            return
        name, equals, value = word.partition("=")
        option = options.get(name)
        if not word:
            raise NircolorError(f"{ctx.command_path}: expected a path, got an empty argument")
        if option is None or option.is_flag:
            continue
        if not equals:
            value = next(words, "-")
        if not value:
            raise NircolorError(f"{name}: expected a value, got an empty one")
        if not equals and value in options:
            raise NircolorError(f"{name}: expected a value, got the option {value}")
        if equals and not name.startswith("--"):
            raise NircolorError(f"{name}: expected {name} {value}, got {word}")
        if not option.multiple and option.name in given:
            raise NircolorError(f"{name}: given twice, as {given[option.name]} and as {value}")
        given[option.name] = value


def _variable_in(ctx: Any, message: str) -> str | None:
    """Return the environment variable that a wrong value came from, for an error message."""
    for one in ctx.command.params:
        source, value = ctx.get_parameter_source(one.name), ctx.params.get(one.name)
        if source is None or source.name != "ENVIRONMENT":
            continue
        is_named = re.search(rf"\b{re.escape(str(value))}\b", message) and any(
            name in message for name in one.opts
        )
        if is_named or message.startswith(f"{value}: "):
            return str(one.envvar)
    return None


def in_one_line(error: Exception) -> str:
    """Word a mistake in the arguments, an exception of Typer, in one line."""
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    command = context.command_path if context is not None else "nircolor"
    wrong, near = getattr(error, "option_name", None), getattr(error, "possibilities", None)
    message = str(getattr(error, "message", error)).removeprefix("Value error, ").rstrip(".")
    if wrong is not None and (near is not None or "No such option" in message):
        suggestion = f"; did you mean {' or '.join(sorted(near))}?" if near else f" (see {command} --help)"
        return f"{wrong}: no such option of {command}{suggestion}"
    if wrong is not None:
        return f"{wrong}: expected a value"
    if type(error).__name__ == "MissingParameter" and parameter is not None:
        return f"{_name(parameter)}: missing; the form is: {_form(context)}"
    for pattern, plain in _PLAIN.items():
        message = re.sub(f"^(?:{pattern})$", plain, message)
    if parameter is None or context is None:
        message = message.replace(". Did you mean", "; did you mean")
        if near and "did you mean" not in message:
            message = f"{message}; did you mean {' or '.join(map(repr, near))}?"
        return f"{message[:1].lower()}{message[1:]} (see {command} --help)"
    name, value = _name(parameter), context.meta.get(_GIVEN, {}).get(parameter.name)
    source = context.get_parameter_source(parameter.name)
    if source is not None and source.name == "ENVIRONMENT":
        name, value = f"environment variable {parameter.envvar} ({name})", os.environ.get(parameter.envvar)
    got = f", got '{value}'" if value is not None and f"'{value}'" not in message else ""
    return f"{name}: {message}{got}"


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper()).strip("{}")
    return max(parameter.opts, key=len)


def _form(context: Any) -> str:
    """Return the command with its required arguments: ``nircolor colorize INPUT... --output PATH``."""
    parts = [context.command_path]
    for one in sorted(context.command.params, key=lambda one: one.param_type_name):
        if one.required:
            value = "" if one.param_type_name == "argument" else f" {one.metavar or one.name.upper()}"
            parts.append(_name(one) + value)
    return " ".join(parts)


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """Make a parser of whole numbers from ``low`` to ``high``, for `typer.Option`."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if number < low or (high is not None and number > high):
            limits = f"of {low} or more" if high is None else f"from {low} to {high}"
            raise typer.BadParameter(f"expected a whole number {limits}, got '{text}'")
        return number

    return parse


def number(low: float, high: float) -> Callable[[str], float]:
    """Make a parser of numbers from ``low`` to ``high``, for `typer.Option`."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise typer.BadParameter(f"expected a number from {low:g} to {high:g}, got '{text}'")
        return value

    return parse


def time_in_seconds(text: str) -> float:
    """Parse a time: seconds, minutes and seconds, or hours, minutes and seconds; for `typer.Option`.

    Examples:
        >>> time_in_seconds("90.5"), time_in_seconds("1:02:03")
        (90.5, 3723.0)
    """
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(0 <= part < math.inf for part in parts):
        raise typer.BadParameter(f"expected seconds such as 90.5, or a time such as 1:02:30, got '{text}'")
    return sum(part * 60**i for i, part in enumerate(reversed(parts)))


def complete_model(incomplete: str) -> list[str]:
    """Complete the name of a shipped model, or the path of a model file."""
    from nircolor.weights import shipped_models

    names = [name for name in shipped_models() if name.startswith(incomplete)]
    path = Path(incomplete)
    folder, start = (path, "") if incomplete.endswith(("/", os.sep)) else (path.parent, path.name)
    if not folder.is_dir():
        return names
    return names + [
        f"{one}/" if one.is_dir() else str(one)
        for one in sorted(folder.iterdir())
        if one.name.startswith(start) and not one.name.startswith(".")
        if one.is_dir() or one.suffix in (".onnx", ".safetensors")
    ]

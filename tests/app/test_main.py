"""Tests of the entry point: help, version, one-line errors, imports at start."""

import subprocess
import sys

import pytest

from nircolor import __version__, extras
from nircolor.app.main import main
from tests.app.command_line import process
from tests.imagery.imagery_samples import noise, save

COMMANDS = ("", "colorize", "models", "info", "demo", "evaluate", "leaks", "synthesize", "train", "export")


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(nircolor, option):
    outcome = nircolor(option)
    assert (outcome.code, outcome.out) == (0, f"nircolor {__version__}\n")


def test_help_lists_the_commands(nircolor):
    outcome = nircolor("--help")
    assert outcome.code == 0
    for command in ("colorize", "models", "info", "demo", "train", "export"):
        assert command in outcome.out


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from nircolor.app.main import main; sys.argv = ['nircolor', '--help']\n"
        "try: main()\n"
        "except SystemExit: print('loaded', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert loaded[0] == "loaded"
    assert not {"numpy", "rasterio", "onnxruntime", "pydantic", "rich", "torch", "lightning"} & set(loaded)


def test_boto3_is_imported_when_it_is_used(tmp_path):
    pytest.importorskip("boto3")
    file = save(tmp_path / "a.png", noise(1, 8, 8), "PNG")
    code = (
        f"import sys; from nircolor.app.main import main; sys.argv = ['nircolor', 'info', {str(file)!r}]\n"
        "try: main()\n"
        "except SystemExit: print('rasterio.session' in sys.modules, 'boto3.session' in sys.modules)\n"
        "import rasterio.session\n"
        "rasterio.session.AWSSession(aws_access_key_id='a', aws_secret_access_key='b', region_name='c')\n"
        "print('boto3.session' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["True False", "True"]


def test_an_error_is_one_line_without_a_traceback(nircolor, tmp_path):
    line = nircolor.refused("colorize", tmp_path / "a.png", "-o", tmp_path / "out")
    assert line == f"{tmp_path / 'a.png'}: no such file"


@pytest.mark.parametrize("first", [True, False])
def test_debug_prints_the_traceback_in_any_position(nircolor, tmp_path, first):
    words = ["colorize", tmp_path / "a.png", "-o", tmp_path / "out"]
    outcome = nircolor(*(["--debug", *words] if first else [*words, "--debug"]))
    assert outcome.code == 2
    assert "Traceback" in outcome.err
    assert outcome.err.splitlines()[-1] == f"error: {tmp_path / 'a.png'}: no such file"


def test_an_error_of_the_operating_system_is_one_line(nircolor, tmp_path):
    line = nircolor.refused("colorize", "a" * 5000, "-o", tmp_path / "out")
    assert "File name too long" in line


def test_in_a_separate_process(tmp_path):
    ran = process("colorize", tmp_path / "a.png", "-o", tmp_path / "out")
    out, err = ran.communicate(timeout=60)
    assert (ran.returncode, out, err) == (2, "", f"error: {tmp_path / 'a.png'}: no such file\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("colorise", "no such command 'colorise'; did you mean 'colorize'? (see nircolor --help)"),
        ("--frob", "--frob: no such option of nircolor (see nircolor --help)"),
        ("colorize --overwrit", "--overwrit: no such option of nircolor colorize; did you mean --overwrite?"),
        ("colorize a.png", "--output: missing; the form is: nircolor colorize INPUT... --output OUTPUT"),
        ("colorize -o out", "INPUT...: missing; the form is: nircolor colorize INPUT... --output OUTPUT"),
        ("colorize a -o b --depth 12", "--depth: '12' is not one of '8', '16'"),
        ("colorize a -o b --jobs 0", "--jobs: expected a whole number of 1 or more, got '0'"),
        ("colorize a -o b --jobs=-1", "--jobs: expected a whole number of 1 or more, got '-1'"),
        ("colorize a -o b -j x", "--jobs: expected a whole number of 1 or more, got 'x'"),
        ("colorize a -o b --tile 0", "--tile: expected a whole number of 1 or more, got '0'"),
        ("colorize a -o b --scale x", "--scale: expected a number, got 'x'"),
        ("colorize a -o b --jobs 3 -j 4", "-j: given twice, as 3 and as 4"),
        ("colorize a -o b --saturation -1", "--saturation: expected a number from 0 to 10, got '-1'"),
        ("colorize a -o b --saturation 130", "--saturation: expected a number from 0 to 10, got '130'"),
        ("colorize a -o b --saturation nan", "--saturation: expected a number from 0 to 10, got 'nan'"),
        ("colorize a -o b --saturation x", "--saturation: expected a number from 0 to 10, got 'x'"),
        ("colorize a -o", "-o: expected a value"),
        ("colorize a -o=out", "-o: expected -o out, got -o=out"),
        ("colorize a -o b -m scene --model=scene", "--model: given twice, as scene and as scene"),
        ("colorize a -o -q", "-o: expected a value, got the option -q"),
        ("colorize a -o --overwrite", "-o: expected a value, got the option --overwrite"),
        ("colorize a -o b --max-pixels 0", "--max-pixels: expected a whole number of 1 or more, got '0'"),
        ("colorize a -o b --offset x", "--offset: expected a number, got 'x'"),
        ("colorize a -o b --format gif", "--format: 'gif' is not one of 'png', 'jpg', 'tif'"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(nircolor, words, line):
    assert nircolor.refused(*words.split()) == line


def test_empty_arguments_as_of_a_variable_that_is_not_set(nircolor):
    assert nircolor.refused("colorize", "", "-o", "out").endswith("expected a path, got an empty argument")
    assert nircolor.refused("colorize", "a.png", "-o", "") == "-o: expected a value, got an empty one"
    assert (
        nircolor.refused("colorize", "a.png", "--output=") == "--output: expected a value, got an empty one"
    )


def test_an_option_may_be_named_twice_where_it_is_a_list(nircolor, tmp_path):
    line = nircolor.refused(
        "evaluate", "scene", "--data", "x", "--train", "y", "--train", "z", "-o", tmp_path
    )
    assert "given twice" not in line


def test_values_from_the_environment_are_named(nircolor, tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", noise(1, 8, 8), "PNG")
    words = ["colorize", path, "-o", tmp_path / "out"]
    for name, value, expected in [
        (
            "JOBS",
            "0",
            "environment variable NIRCOLOR_JOBS (--jobs): expected a whole number of 1 or more, got '0'",
        ),
        ("DEVICE", "tpu", "environment variable NIRCOLOR_DEVICE (--device): 'tpu' is not one of"),
        ("MODEL", "nothing", "nothing: expected the path of a model file or a model that ships:"),
    ]:
        with monkeypatch.context() as patch:
            patch.setenv(f"NIRCOLOR_{name}", value)
            line = nircolor.refused(*words)
        assert line.startswith(expected)
    assert line.endswith("(from the environment variable NIRCOLOR_MODEL)")
    # other errors do not blame it
    with monkeypatch.context() as patch:
        patch.setenv("NIRCOLOR_JOBS", "2")
        line = nircolor.refused("colorize", tmp_path / "2.png", "-o", tmp_path / "out")
        assert line == f"{tmp_path / '2.png'}: no such file"
        patch.setenv("NIRCOLOR_DEVICE", "cuda")
        assert nircolor.refused(*words).endswith("(from the environment variable NIRCOLOR_DEVICE)")
    with monkeypatch.context() as patch:
        patch.setenv("NIRCOLOR_MAX_PIXELS", "60")
        line = nircolor.refused(*words)
        assert "expected at most 60 pixels" in line
        assert line.endswith("(from the environment variable NIRCOLOR_MAX_PIXELS)")
    # an option wins
    monkeypatch.setenv("NIRCOLOR_MODEL", "nothing")
    assert nircolor(*words, "--model", "scene").code == 0


def test_variables_are_shown_in_the_help(nircolor):
    shown = nircolor("colorize", "--help").out
    for name in ("MODEL", "DEVICE", "JOBS", "TILE", "MAX_PIXELS"):
        assert f"NIRCOLOR_{name}" in shown


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_examples_and_fits_80_columns(nircolor, monkeypatch, command, option):
    monkeypatch.setenv("COLUMNS", "80")
    shown = nircolor(*command.split(), option)
    assert shown.code == 0
    assert shown.out.startswith(f"Usage: nircolor {command}".rstrip())
    assert f"\n  nircolor {command}".rstrip() in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80


def test_without_a_command_the_help_is_shown(nircolor):
    outcome = nircolor()
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Usage: nircolor")


def completed(words, monkeypatch, capsys):
    monkeypatch.setenv("_NIRCOLOR_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    monkeypatch.setattr(sys, "argv", ["nircolor"])
    with pytest.raises(SystemExit):
        main()
    return capsys.readouterr().out.splitlines()


def test_completion_of_commands_options_and_models(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sensor.onnx").touch()
    (tmp_path / "night.png").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.safetensors").touch()
    assert completed("nircolor ev", monkeypatch, capsys) == ["evaluate"]
    assert "--model" in completed("nircolor colorize --mo", monkeypatch, capsys)
    models = ["satellite-1band", "satellite", "scene"]
    assert completed("nircolor colorize -m s", monkeypatch, capsys) == [*models, "sensor.onnx", "sub/"]
    assert completed("nircolor colorize -m sub/", monkeypatch, capsys) == ["sub/mine.safetensors"]
    assert completed("nircolor colorize -m nowhere/", monkeypatch, capsys) == [""]
    assert completed("nircolor colorize --device c", monkeypatch, capsys) == ["cpu", "cuda", "coreml"]


def test_the_script_for_bash_is_produced(nircolor, monkeypatch):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    script = nircolor("--show-completion", "bash").out
    assert "_NIRCOLOR_COMPLETE=complete_bash" in script
    assert "complete -o default -F _nircolor_completion nircolor" in script
    done = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("option", "value", "match"),
    [
        ("--bands", "850;940", "--bands: expected numbers separated by commas, got '850;940'"),
        ("--stretch", "1", "--stretch: expected two percentiles, the lower one first, got '1'"),
        ("--stretch", "99,1", "the lower one first"),
        ("--stretch", "nan,99", "the lower one first"),
        ("--stretch", "1,101", "the lower one first"),
        ("--bands", "850,-3", "expected wavelengths in nm"),
        ("--bands", "850", "1 wavelengths were given, but the image has 2 band"),
        ("--scale", "0", "expected a positive --scale"),
        ("--scale", "nan", "expected a positive --scale"),
    ],
)
def test_invalid_values_of_options(nircolor, tmp_path, option, value, match):
    path = save(tmp_path / "a.tif", noise(2, 8, 8))
    assert match in nircolor.refused("colorize", path, "-o", tmp_path / "out", option, value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [["train", "--config", "a.yaml"], ["export", "a.ckpt", "-o", "a.onnx"]])
def test_a_missing_extra_is_reported_with_the_install_command(nircolor, monkeypatch, words):
    monkeypatch.setattr(extras, "find_spec", lambda _package: None)
    line = nircolor.refused(*words)
    assert line.startswith(f"nircolor {words[0]} needs more than the base install: ")
    assert line.endswith("[train]'")


@pytest.mark.parametrize(("error", "line"), [
    (TypeError("two\nlines"), "unexpected TypeError: two lines (a bug in nircolor; --debug shows where)"),
    (RecursionError(), "unexpected RecursionError (a bug in nircolor; --debug shows where)"),
    (OSError(5, "Input/output error"), "Input/output error"),
])  # fmt: skip
@pytest.mark.parametrize("count", [1, 2])
def test_an_unexpected_error_is_one_line(nircolor, tmp_path, monkeypatch, error, line, count):
    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr("nircolor.inference.reading.open_raster", fail)
    paths = [save(tmp_path / f"{i}.png", noise(1, 8, 8, seed=i), "PNG") for i in range(count)]
    words = ["colorize", *paths, "-o", tmp_path / "out"]
    outcome = nircolor(*words)
    assert outcome.code == (2 if count == 1 else 1)
    shown = [text.strip().removeprefix("error: ") for text in outcome.err.splitlines()]
    names = str(paths[0]) if count == 1 else f"2 files in {tmp_path}: 0.png, 1.png"
    assert shown[-1] == f"{names}: {line}"
    assert "Traceback" not in outcome.err
    assert "Traceback" in nircolor(*words, "--debug").err


def test_an_unexpected_error_of_another_command(nircolor, tmp_path, monkeypatch):
    monkeypatch.setattr("nircolor.imagery.open_raster", lambda *_args, **_kwargs: 1 // 0)
    line = nircolor.refused("info", save(tmp_path / "a.png", noise(1, 8, 8), "PNG"))
    assert line.startswith("unexpected ZeroDivisionError")

import errno

import pytest

from analyzer.errors import AnalyzerError, QueryError, TablesError


def told(result):
    """Return what a failed command said, once sure that it said it briefly."""
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert not result.stdout
    first, *hint = result.stderr.splitlines()
    assert first.startswith("analyze: error: ")
    assert len(hint) <= 1
    assert all(line.startswith("  hint: ") for line in hint)
    return result.stderr


def test_a_missing_file_is_told_in_one_line_and_a_hint(analyze):
    assert told(analyze("flows", "n2.eth0.pca")) == (
        "analyze: error: n2.eth0.pca: no such file or directory\n"
        "  hint: did you mean n2.eth0.pcap?\n"
    )


def test_a_foreign_directory_is_told_by_the_pipeline(analyze, pipeline):
    pipeline.error = TablesError("out: not a tables directory", hint="choose another")
    assert told(analyze("flows", "n2.eth0.pcap", "-o", "out")) == (
        "analyze: error: out: not a tables directory\n  hint: choose another\n"
    )


def test_an_error_of_many_lines_becomes_one(analyze, pipeline):
    pipeline.error = QueryError("no column vin\n\n  valid: vni\x1b[2J")
    assert told(analyze("flows", "n2.eth0.pcap")) == (
        "analyze: error: no column vin valid: vni\\x1b[2J\n"
    )


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (
            OSError(errno.ENOSPC, "No space left", "out/flows.arrow"),
            "out/flows.arrow: no space left on device",
            "free some space; -o names another place for the tables",
        ),
        (
            OSError("No space left on device (os error 28)"),
            "no space left on device",
            "free some space",
        ),
        (PermissionError(errno.EACCES, "", "x"), "x: permission denied", "permissions"),
        (MemoryError(), "out of memory", "fewer captures"),
        (KeyError("vni"), "a defect of analyze itself: KeyError: 'vni'", "--debug"),
    ],
)
def test_what_the_system_refuses_is_told_in_words(
    analyze, pipeline, error, message, hint
):
    pipeline.error = error
    text = told(analyze("flows", "n2.eth0.pcap"))
    assert text.startswith(f"analyze: error: {message}\n")
    assert hint in text


@pytest.mark.parametrize(
    "arguments",
    [("--debug", "info", "n2.eth0.pcap"), ("info", "--debug", "n2.eth0.pcap")],
)
def test_debug_lets_the_traceback_through(analyze, pipeline, arguments):
    pipeline.error = AnalyzerError("odd")
    assert analyze(*arguments).exception is pipeline.error


def test_ctrl_c_ends_with_130_and_no_traceback(analyze, pipeline):
    pipeline.error = KeyboardInterrupt()
    result = analyze("info", "n2.eth0.pcap")
    assert result.exit_code == 130
    assert result.stderr == "\nanalyze: interrupted\n"


def test_wrong_usage_ends_with_2(analyze):
    assert analyze("flows").exit_code == 2
    assert analyze("flows", "n2.eth0.pcap", "--top", "0").exit_code == 2
    assert analyze("flows", "n2.eth0.pcap", "--idle-timeout", "soon").exit_code == 2


def test_no_color_means_none(analyze, pipeline):
    pipeline.error = AnalyzerError("odd")
    assert "\x1b" in analyze("info", "n2.eth0.pcap", color=True).stderr
    assert (
        "\x1b" not in analyze("info", "n2.eth0.pcap", color=True, NO_COLOR="1").stderr
    )

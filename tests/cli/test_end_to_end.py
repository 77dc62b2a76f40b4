"""The command as people run it: a process of its own, and real captures."""

import inspect
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from analyzer.cli import main

CAPTURES = Path(__file__).parents[2] / "captures"
NODE_PORT = CAPTURES / "cluster" / "nodeport"
WIKIPEDIA = CAPTURES / "conformance" / "zeek_wikipedia.pcap"
ANALYZE = (sys.executable, "-m", "analyzer")


def examples(command, path=("analyze",)):
    """Give the commands of a help text, and of those of its commands."""
    text = inspect.cleandoc(command.help).split("Examples:\n")[1]
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip().startswith("analyze "):
            yield " ".join(line.split())
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from examples(command.get_command(context, name), (*path, name))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Go where the examples of the help texts find their captures."""
    monkeypatch.chdir(tmp_path)
    Path("captures").symlink_to(CAPTURES)


@pytest.fixture
def run(here):  # noqa: ARG001
    """Run a command in a process of its own."""

    def run(*arguments, **options):
        options = {"capture_output": True, "text": True, "timeout": 60, **options}
        arguments = [str(argument) for argument in arguments]
        return subprocess.run([*ANALYZE, *arguments], check=False, **options)

    return run


@pytest.mark.parametrize("example", dict.fromkeys(examples(main)))
def test_the_examples_of_the_help_texts_run(run, example):
    done = run(*shlex.split(example)[1:])
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_node_port_has_the_name_of_its_service(run):
    capture = NODE_PORT / "k8s-master.ens18.pcap.gz"
    cluster = ("--cluster", NODE_PORT / "cluster")
    wide = {**os.environ, "COLUMNS": "200"}
    done = run("flows", capture, *cluster, "--top", "500", env=wide)
    assert re.search(r"192\.168\.2\.30:30080 .*nodeport-nginx-ds", done.stdout)
    assert "10.1.235.211:80 nginx-ds-tkhgg" in done.stdout
    assert re.search(r"vxlan k8s-worker0\d → k8s-master", done.stdout)


def test_json_names_services_and_pods(run):
    capture = NODE_PORT / "k8s-master.ens18.pcap.gz"
    done = run("flows", capture, "--cluster", NODE_PORT / "cluster", "--json")
    flows = [json.loads(line) for line in done.stdout.splitlines()]
    services = {(flow["responder_port"], flow["service"]) for flow in flows}
    assert (30080, "default/nodeport-nginx-ds") in services
    pods = {(flow["responder_ip"], flow["responder_name"]) for flow in flows}
    assert ("10.1.79.75", "nginx-ds-6nw9w") in pods


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("command", ["flows", "info"])
def test_no_line_is_longer_than_the_terminal(run, command, columns):
    environment = {**os.environ, "COLUMNS": str(columns)}
    for captures in ("captures/conformance", "captures/cluster/nodeport"):
        lines = run(command, captures, env=environment).stdout.splitlines()
        without_command = [line for line in lines if "python3 -c" not in line]
        assert max(map(len, without_command)) <= columns


def test_standard_input_is_a_capture_too(run):
    with WIKIPEDIA.open("rb") as capture:
        done = run("flows", "-", stdin=capture)
    assert "34 flows" in done.stdout
    assert Path("capture.tables/flows.arrow").exists()


def test_a_condition_keeps_some_flows(run):
    done = run("flows", WIKIPEDIA, "--filter", "responder_port = 53", "--json")
    ports = {json.loads(line)["responder_port"] for line in done.stdout.splitlines()}
    assert ports == {53}


def test_parquet_tables_are_shown_as_well(run):
    done = run("flows", WIKIPEDIA, "--parquet", "--packets")
    assert "34 flows" in done.stdout
    assert "read_parquet" in done.stdout


def test_a_capture_that_breaks_off_is_read_up_to_there(run):
    Path("cut.pcap").write_bytes(WIKIPEDIA.read_bytes()[:10_000])
    lenient, strict = run("flows", "cut.pcap"), run("flows", "cut.pcap", "--strict")
    assert (lenient.returncode, strict.returncode) == (0, 1)
    assert lenient.stdout == strict.stdout
    assert re.search(
        r"warning: cut.pcap: .+ \(at byte [\d,]+, after \d+ frames\)", lenient.stderr
    )
    assert "analyze: error: damaged: cut.pcap" in strict.stderr


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "empty"), (b"not a capture", "not a pcap or pcapng file")],
)
def test_what_is_no_capture_leaves_nothing_behind(run, content, complaint):
    Path("x.pcap").write_bytes(content)
    done = run("flows", "x.pcap")
    assert done.returncode == 1
    assert not done.stdout
    assert complaint in done.stderr
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        "analyze",
        "  hint",
    ]
    assert not Path("x.tables").exists()


def test_a_foreign_directory_is_left_alone(run):
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear")
    done = run("flows", WIKIPEDIA, "-o", "mine")
    assert done.returncode == 1
    assert "analyze: error: mine: " in done.stderr
    assert [path.name for path in Path("mine").iterdir()] == ["letter.txt"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_is_no_failure_to_tell(unbuffered):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(
        [*ANALYZE, "flows", NODE_PORT, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == b""


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("output", ["--format=table", "--json"])
def test_a_full_disk_behind_stdout_is_told_once(run, unbuffered, output):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = run(
            *("flows", WIKIPEDIA, output),
            capture_output=False,
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment,
        )
    assert done.returncode == 1
    assert "analyze: error: no space left on device\n  hint: " in done.stderr
    assert done.stderr.count("no space left") == 1


@pytest.mark.usefixtures("here")
def test_ctrl_c_leaves_no_file_and_no_traceback():
    with subprocess.Popen(
        [*ANALYZE, "flows", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=False,
    ) as process:
        process.stdin.write(WIKIPEDIA.read_bytes()[:10_000])
        process.stdin.flush()
        time.sleep(2)  # until it has read that and waits for more
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == b"\nanalyze: interrupted\n"
    assert {path.name for path in Path().iterdir()} == {"captures"}

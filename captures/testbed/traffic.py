"""Programs that call the Services, each bounded in count and time.

An operation is a shell command in one namespace with a note that says what it is
for. curl and client.py also report their sockets: those reports check the truth.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from captures.testbed import client, netns

TIMEOUT = 40.0
CURL = re.compile(r"^curl (\S+) (\d+) (\S+) (\d+) (\d{3})$", re.MULTILINE)
CURL_REPORT = "curl %{local_ip} %{local_port} %{remote_ip} %{remote_port} %{http_code}"


@dataclass(frozen=True)
class Operation:
    """A command to run in a namespace, and what it is for."""

    netns: str
    command: str
    note: str


@dataclass(frozen=True)
class Report:
    """What one client said of one socket: the third witness."""

    protocol: str
    tuple: tuple[str, int, str, int]
    outcome: str
    time: float


@dataclass
class Done:
    """An operation that was run, and what its clients reported."""

    netns: str
    command: str
    note: str
    start: float
    end: float
    status: int
    output: str
    reports: list[Report] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return a line of ``ops.jsonl``."""
        return {
            "start": self.start,
            "end": self.end,
            "netns": self.netns,
            "note": self.note,
            "cmd": self.command,
            "rc": self.status,
            "out": self.output,
        }


def url(address: str, port: int, path: str = "/") -> str:
    """Write an HTTP URL; an IPv6 address goes in brackets."""
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}{path}"


def get(who: str, target: str, times: int, note: str) -> Operation:
    """Fetch a page several times, a connection each."""
    script = (
        f"i=0; while [ $i -lt {times} ]; do "
        f"curl -s -m 5 -o /dev/null -w '{CURL_REPORT}\\n' '{target}'; "
        "i=$((i+1)); done"
    )
    return Operation(who, script, note)


def download(who: str, target: str, megabytes: int, note: str = "") -> Operation:
    """Download the beginning of the large file: super-frames."""
    last = megabytes * 1024 * 1024 - 1
    script = f"curl -s -m 20 -o /dev/null -w '{CURL_REPORT}\\n' -r 0-{last} '{target}'"
    return Operation(who, script, note or f"download of {megabytes} MB")


def keep_alive(who: str, target: str, requests: int, connections: int) -> Operation:
    """Send many requests over few connections."""
    script = f"ab -q -k -n {requests} -c {connections} '{target}' >/dev/null"
    return Operation(who, script, f"ab keep-alive, {connections} connections")


def many(who: str, address: str, port: int, connections: int, note: str) -> Operation:
    """Make many short connections, one after the other, without a program each.

    Not ab: without keep-alive it may open a last connection and send nothing.
    """
    return call(who, f"get {address} {port} --count {connections}", note)


def redis(who: str, address: str, port: int, times: int) -> Operation:
    """Run redis-cli several times, three commands each."""
    script = (
        f"i=0; while [ $i -lt {times} ]; do "
        f"timeout 5 redis-cli -r 3 -h {address} -p {port} INCR hits >/dev/null; "
        "i=$((i+1)); done"
    )
    return Operation(who, script, "redis, 3 commands each")


def dig(who: str, server: str, question: str, note: str, *options: str) -> Operation:
    """Ask the cluster's DNS once."""
    script = shlex.join(
        [
            "dig",
            f"@{server}",
            "+tries=1",
            "+time=2",
            "+noall",
            *options,
            *question.split(),
        ]
    )
    return Operation(who, script, note)


def ping(who: str, address: str, count: int, note: str, size: int = 56) -> Operation:
    """Send echo requests."""
    script = f"ping -q -n -c {count} -i 0.02 -W 1 -s {size} {address} >/dev/null"
    return Operation(who, script, note)


def call(who: str, arguments: str, note: str) -> Operation:
    """Run client.py."""
    script = f"{sys.executable} {client.__file__} {arguments}"
    return Operation(who, script, note)


def run(operation: Operation) -> Done:
    """Run one operation to its end."""
    start = time.time()
    try:
        done = subprocess.run(
            netns.inside(operation.netns, ["sh", "-c", operation.command]),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as late:
        raise netns.TestbedError(f"{operation}: not done in {TIMEOUT} s") from late
    return finished(operation, start, done.returncode, done.stdout)


@dataclass
class Running:
    """An operation in the background."""

    operation: Operation
    start: float
    process: subprocess.Popen[str]
    output: str  # so far

    def wait(self) -> Done:
        """Wait for its end."""
        output, _ = self.process.communicate(timeout=TIMEOUT)
        status = self.process.returncode
        return finished(self.operation, self.start, status, self.output + output)


def start(operation: Operation) -> Running:
    """Start an operation in the background; return when it reports a connection."""
    began = time.time()
    process = netns.spawn(
        operation.netns, ["sh", "-c", operation.command], stdout=subprocess.PIPE
    )
    if process.stdout is None:
        raise netns.TestbedError(f"{operation}: no output to wait for")
    return Running(operation, began, process, process.stdout.readline())


def finished(operation: Operation, start: float, status: int, output: str) -> Done:
    """Put together what an operation did."""
    # The path of this machine's interpreter is nobody's business.
    command = operation.command.replace(
        f"{sys.executable} {client.__file__}", "python client.py"
    )
    return Done(
        operation.netns,
        command,
        operation.note,
        start,
        time.time(),
        status,
        output,
        reports_in(output),
    )


def reports_in(output: str) -> list[Report]:
    """Read the reports that curl and client.py print."""
    found = []
    for line in output.splitlines():
        if line.startswith("{"):
            report = json.loads(line)
            source, source_port, address, port = report["tuple"]
            found.append(
                Report(
                    report["protocol"],
                    (source, source_port, address, port),
                    report["outcome"],
                    report["time"],
                )
            )
    now = time.time()
    for source, source_port, address, port, code in CURL.findall(output):
        if int(source_port):
            outcome = "ok" if code != "000" else "no-answer"
            key = (source, int(source_port), address, int(port))
            found.append(Report("tcp", key, outcome, now))
    return found

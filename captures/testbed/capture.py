"""Record devices with tcpdump (and pcapng with dumpcap), and prove no packet lost."""

from __future__ import annotations

import re
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from captures.testbed import netns

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

Variant = Literal["pcap", "nano", "pcapng"]

ANY = "any"
READY_TIMEOUT = 10.0
DRAIN_S = 1.3
TCPDUMP_STATISTICS = re.compile(
    r"(\d+) packets? captured\n(\d+) packets? received by filter\n"
    r"(\d+) packets? dropped by kernel"
)
DUMPCAP_STATISTICS = re.compile(
    r"Packets received/dropped on interface '[^']+': (\d+)/(\d+)"
)


@dataclass
class Capture:
    """One capture file: where it is taken, in which format."""

    host: str  # a namespace: node, pod or external host
    interfaces: tuple[str, ...]
    variant: Variant = "pcap"
    snaplen: int | None = None
    linktype: str | None = None
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def file(self) -> str:
        """File name, which names the observation point: HOST.INTERFACE.ENDING."""
        ending = "pcapng" if self.variant == "pcapng" else "pcap"
        return f"{self.host}.{'+'.join(self.interfaces)}.{ending}"

    @property
    def command(self) -> list[str]:
        """The program and its arguments."""
        snaplen = ["-s", str(self.snaplen)] if self.snaplen else []
        if self.variant == "pcapng":
            interfaces = [w for i in self.interfaces for w in ("-i", i)]
            # With two interfaces dumpcap queues packets between threads, and drops
            # what exceeds the queue: by default a thousand, or a megabyte.
            queue = ["-N", "100000", "-C", str(64 * 1024 * 1024)]
            return [
                *("dumpcap", "-q", "-B", "16"),
                *(queue if len(self.interfaces) > 1 else ()),
                *(*interfaces, *snaplen, "-w", self.file),
            ]
        nano = ["--nano"] if self.variant == "nano" else []
        linktype = ["-y", self.linktype] if self.linktype else []
        return [
            "tcpdump",
            "-n",
            *("-Z", "root", "-B", "16384"),
            *("-i", self.interfaces[0]),
            *snaplen,
            *("-w", self.file),
            *nano,
            *linktype,
        ]

    def shows(self, host: str, interface: str) -> bool:
        """Whether packets that cross a device are in this file."""
        if host != self.host:
            return False
        return interface in self.interfaces or self.interfaces == (ANY,)


def start(captures: list[Capture], directory: Path) -> float:
    """Start every capture, wait until all of them record, and return when."""
    for capture in captures:
        log = directory / f"{capture.file}.stderr"
        with log.open("w") as stderr:
            program, *arguments = capture.command
            arguments[arguments.index("-w") + 1] = str(directory / capture.file)
            capture.process = netns.spawn(
                capture.host, [program, *arguments], stderr=stderr
            )
    deadline = time.monotonic() + READY_TIMEOUT
    for capture in captures:
        log = directory / f"{capture.file}.stderr"
        word = "File:" if capture.variant == "pcapng" else "listening on"
        while word not in log.read_text():
            if time.monotonic() > deadline:
                raise netns.TestbedError(
                    f"{capture.file}: did not start: {log.read_text().strip()}"
                )
            time.sleep(0.01)
    return time.time()


def stop(captures: list[Capture], directory: Path) -> list[dict[str, Any]]:
    """End every capture and return what ``scenario.json`` says of it.

    libpcap hands packets over in blocks that the kernel closes after a second at
    the latest; an interrupt throws away what is in an open one. Hence the wait.
    """
    time.sleep(DRAIN_S)
    for capture in captures:
        if capture.process is not None:
            capture.process.send_signal(signal.SIGINT)
    reports = []
    for capture in captures:
        if capture.process is not None:
            capture.process.wait(timeout=15)
        log = directory / f"{capture.file}.stderr"
        report = {
            "file": capture.file,
            "node": capture.host,
            "interfaces": list(capture.interfaces),
            "variant": capture.variant,
            "snaplen": capture.snaplen,
            "command": " ".join(capture.command),
            **statistics(log.read_text()),
            "bytes": (directory / capture.file).stat().st_size,
        }
        log.unlink()
        if report["dropped_by_kernel"]:
            raise netns.TestbedError(f"{capture.file}: packets were dropped: {report}")
        reports.append(report)
    return reports


def statistics(text: str) -> dict[str, int]:
    """Read the counts that a program prints in the end."""
    match = TCPDUMP_STATISTICS.search(text)
    if match:
        captured, received, dropped = map(int, match.groups())
        return {
            "captured": captured,
            "received_by_filter": received,
            "dropped_by_kernel": dropped,
        }
    counts = DUMPCAP_STATISTICS.findall(text)
    if not counts:
        raise netns.TestbedError(f"no packet counts in: {text.strip()}")
    return {
        "captured": sum(int(received) for received, _ in counts),
        "dropped_by_kernel": sum(int(dropped) for _, dropped in counts),
    }

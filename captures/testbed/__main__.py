"""Build the cluster, run or record scenarios, take the cluster down.

Examples
--------
::

    python -m captures.testbed up          # and then: ip netns exec tb-k8s-master sh
    python -m captures.testbed run quick -o quick-run
    python -m captures.testbed record      # all samples of the repository anew
    python -m captures.testbed down
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from captures.testbed import netns, record, scenarios
from captures.testbed.clocks import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from captures.testbed.kubeproxy import Mode
    from captures.testbed.scenarios import Scenario

SAMPLES = Path(__file__).resolve().parents[1] / "cluster"
PROGRAMS = {
    "ip": "iproute2",
    "bridge": "iproute2",
    "ss": "iproute2",
    "iptables-restore": "iptables",
    "ip6tables-restore": "iptables",
    "ipset": "ipset",
    "nft": "nftables",
    "conntrack": "conntrack",
    "tcpdump": "tcpdump",
    "tshark": "tshark",
    "dumpcap": "wireshark-common",
    "ethtool": "ethtool",
    "nginx": "nginx-light",
    "apache2": "apache2",
    "redis-server": "redis-server",
    "redis-cli": "redis-tools",
    "dnsmasq": "dnsmasq-base",
    "curl": "curl",
    "ab": "apache2-utils",
    "dig": "bind9-dnsutils",
    "ping": "iputils-ping",
}


def missing() -> list[str]:
    """Say what keeps the testbed from running here; nothing if it can."""
    reasons = []
    if os.geteuid() != 0:
        reasons.append("not root")
    elif subprocess.run(
        ["unshare", "--net", "true"], capture_output=True, check=False
    ).returncode:
        reasons.append("not allowed to make network namespaces")
    packages = sorted({p for name, p in PROGRAMS.items() if not shutil.which(name)})
    if packages:
        reasons.append("missing packages: " + " ".join(packages))
    return reasons


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m captures.testbed", description=__doc__.partition("\n")[0]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    names = list(scenarios.ALL)
    modes = ("iptables", "nftables")
    command = commands.add_parser("up", help="build a scenario's cluster and leave it")
    command.add_argument("scenario", nargs="?", choices=names, default="loadbalancer")
    command.add_argument("--mode", choices=modes, help="kube-proxy's mode")
    command = commands.add_parser("run", help="run one scenario into a directory")
    command.add_argument("scenario", choices=names)
    command.add_argument("-o", "--output", type=Path)
    command.add_argument("--mode", choices=modes, help="kube-proxy's mode")
    command.add_argument("--keep", action="store_true", help="leave the cluster up")
    command.add_argument(
        "--clock",
        action="append",
        default=[],
        metavar="HOST=SECONDS[:PPM]",
        help="give a host's captures a wrong clock",
    )
    command.add_argument("--snaplen", type=int, help="octets that captures keep")
    command.add_argument(
        "--any",
        action="append",
        default=[],
        metavar="HOST[:LINKTYPE]",
        help="record `any` on a host, too; LINUX_SLL is the link type without devices",
    )
    command = commands.add_parser("record", help="record the repository's samples anew")
    command.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help="default: all"
    )
    commands.add_parser("down", help="remove what up made")
    commands.add_parser("packages", help="name the Debian packages that are needed")
    options = parser.parse_args()
    if options.command == "packages":
        print(*sorted(set(PROGRAMS.values())))
        return 0
    unknown = sorted({*getattr(options, "scenarios", ())} - {*names})
    if unknown:
        parser.error(f"no such scenario: {unknown[0]} (there are: {', '.join(names)})")
    reasons = missing()
    if reasons:
        print(f"the testbed cannot run: {'; '.join(reasons)}", file=sys.stderr)
        return 1
    try:
        with netns.exclusive():
            act(options)
    except netns.TestbedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def act(options: argparse.Namespace) -> None:
    """Carry out one command."""
    if options.command == "down":
        netns.tear_down()
    elif options.command == "up":
        scenario = scenarios.ALL[options.scenario]
        mode = options.mode or scenario.mode
        took = record.up(scenario.cluster, mode, offload=scenario.offload)
        print(f"{scenario.name}: up, {took['network_s'] + took['servers_s']:.1f} s")
        print(f"look around: ip netns exec {netns.PREFIX}k8s-master bash")
    elif options.command == "run":
        output = options.output or Path(tempfile.mkdtemp(prefix="testbed-"))
        hosts = [text.partition(":") for text in options.any]
        any_on = {host: linktype or None for host, _, linktype in hosts}
        one(
            scenarios.ALL[options.scenario].captured(options.snaplen, any_on),
            output,
            options.mode,
            keep=options.keep,
            wrong_clocks=options.clock,
        )
    else:
        recorded = [s.name for s in scenarios.ALL.values() if s.recorded]
        for name in options.scenarios or recorded:
            one(scenarios.ALL[name], SAMPLES / name)


def one(
    scenario: Scenario,
    output: Path,
    mode: Mode | None = None,
    *,
    keep: bool = False,
    wrong_clocks: Sequence[str] = (),
) -> None:
    """Record one scenario and say what came of it."""
    began = time.monotonic()
    pairs = [text.partition("=") for text in wrong_clocks]
    parsed = {host: Clock.parse(clock) for host, _, clock in pairs}
    try:
        record.record(scenario, output, mode, parsed)
    finally:
        if not keep:
            netns.tear_down()
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    count = len((output / "truth.jsonl").read_text().splitlines())
    print(
        f"{scenario.name}: {count} connections, {size / 1e6:.2f} MB in {output}, "
        f"{time.monotonic() - began:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())

"""The captures that benchmarks read, and throughput beside their times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import inputs
from benchmarks.quantity import quantity
from benchmarks.service.flows import busy_service
from benchmarks.service.load import Load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.tables import Tables
    from benchmarks.inputs import Capture
    from benchmarks.service.flows import Busy

RATES = pytest.StashKey[dict[str, float]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the size of the captures be chosen."""
    group = parser.getgroup("captures")
    group.addoption(
        "--packets",
        type=quantity,
        default=1_000_000,
        help="frames in each capture, such as 100k or 10M (default: 1M)",
    )
    group.addoption(
        "--connections",
        type=quantity,
        default=100_000,
        help="to one Service, five flows each, such as 10k or 1M (default: 100k)",
    )
    group.addoption(
        "--data",
        type=Path,
        default=inputs.DATA,
        help="where captures are kept (default: benchmarks/data)",
    )


def _capture(request: pytest.FixtureRequest, **properties: Any) -> Capture:
    config = request.config
    packets = config.getoption("--packets")
    return inputs.build(packets, directory=config.getoption("--data"), **properties)


@pytest.fixture(scope="session")
def cluster_capture(request: pytest.FixtureRequest) -> Capture:
    """Give a cluster's usual mix: 60 % VXLAN, 33 packets a flow."""
    return _capture(request)


@pytest.fixture(scope="session")
def vxlan_capture(request: pytest.FixtureRequest) -> Capture:
    """Give nothing but VXLAN (and ARP)."""
    return _capture(request, vxlan_share=1.0)


@pytest.fixture(scope="session")
def plain_capture(request: pytest.FixtureRequest) -> Capture:
    """Give no VXLAN: IPv4, a little IPv6 and VLAN."""
    return _capture(request, vxlan_share=0.0)


@pytest.fixture(scope="session")
def short_capture(request: pytest.FixtureRequest) -> Capture:
    """Give the usual mix as ``tcpdump -s 96`` keeps it."""
    return _capture(request, snaplen=96)


@pytest.fixture(scope="session")
def pcapng_capture(request: pytest.FixtureRequest) -> Capture:
    """Give the usual mix in pcapng format."""
    return _capture(request, pcapng=True)


@pytest.fixture(scope="session")
def many_flows_capture(request: pytest.FixtureRequest) -> Capture:
    """Give two packets to nearly every flow: the worst case of a flow table."""
    packets = request.config.getoption("--packets")
    return _capture(request, flows=packets * 49 // 100)


@pytest.fixture(scope="session")
def gzip_capture(cluster_capture: Capture) -> Capture:
    """Give the usual mix compressed with gzip."""
    return inputs.compress(cluster_capture, ".gz")


@pytest.fixture(scope="session")
def zstd_capture(cluster_capture: Capture) -> Capture:
    """Give the usual mix compressed with zstd."""
    return inputs.compress(cluster_capture, ".zst")


@pytest.fixture(scope="session")
def lz4_capture(cluster_capture: Capture) -> Capture:
    """Give the usual mix compressed with lz4."""
    return inputs.compress(cluster_capture, ".lz4")


@pytest.fixture(scope="session")
def busy_tables(request: pytest.FixtureRequest) -> tuple[Tables, Load]:
    """Give all tables of many connections to one Service, and its cluster."""
    from analyzer.correlate import correlate
    from analyzer.tables import Tables
    from analyzer.tables.convert import to_arrow

    load = Load(request.config.getoption("--connections"))
    flows = busy_service(load).flows
    found = correlate(flows.lazy(), load.cluster)
    frames = {"flows": flows, **found._asdict()}
    arrow = {name: to_arrow(frame, name) for name, frame in frames.items()}
    return Tables(arrow, []), load


@pytest.fixture(scope="session", params=["random", "rfc6528"])
def busy(request: pytest.FixtureRequest) -> Busy:
    """Give the flows of many connections to one Service, at every point."""
    connections = request.config.getoption("--connections")
    return busy_service(Load(connections, isn=request.param))


@pytest.fixture(autouse=True)
def _throughput(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[None]:
    """Record packets per second beside what was measured."""
    yield
    info = benchmark.extra_info
    if benchmark.stats is None or "packets" not in info:  # --benchmark-disable, failed
        return
    rate = info["packets"] / benchmark.stats.stats.median
    info["packets_per_second"] = round(rate)
    request.config.stash.setdefault(RATES, {})[request.node.name] = rate


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show packets per second, which the table of times does not."""
    rates = config.stash.get(RATES, {})
    if rates:
        terminalreporter.section("million packets per second (median)")
        for name, rate in rates.items():
            terminalreporter.write_line(f"{rate / 1e6:8.3f}  {name}")

"""The tables are the same, row for row, for every number of threads and chunk size."""

import random
import struct

import pytest

import analyzer
from tests.frames import CAPTURES, sample_captures, sample_name

SECOND = 1_000_000_000
PACKETS = 40_000
HOSTS = 5
SYN, ACK, FIN, RST, PSH = 2, 16, 1, 4, 8


def tables(
    paths,
    threads,
    *,
    names=("flows", "connections", "packets"),
    chunk_size=256 * 1024,
    **options,
):
    built = analyzer.build_tables(
        paths, threads=threads, chunk_size=chunk_size, packets=True, **options
    )
    made = {name: built.arrow(name) for name in names}
    return made, [summary_of(capture) for capture in built.captures]


def summary_of(capture):
    return {name: value for name, value in vars(capture).items() if name != "seconds"}


def ipv4(source, destination, protocol, payload, *, identification=0, fragment=0):
    return (
        struct.pack(
            "!BBHHHBBHII",
            0x45,
            0,
            20 + len(payload),
            identification,
            fragment,
            64,
            protocol,
            0,
            source,
            destination,
        )
        + payload
    )


def ipv6(source, destination, protocol, payload):
    prefix = bytes.fromhex("fd00000000000000000000000000")
    ends = b"".join(
        prefix + struct.pack("!H", end & 0xFFFF) for end in (source, destination)
    )
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + ends + payload


def tcp(rng, ports):
    flags = rng.choice([SYN, SYN | ACK, ACK, ACK, ACK | PSH, ACK | PSH, ACK | FIN, RST])
    segment = bytes(rng.choice([0, 0, 1, 40]))
    # Few sequence numbers: what was sent before comes again, and gaps are filled.
    numbers = 1000 + 40 * rng.randrange(8), 5000 + 40 * rng.randrange(8)
    return struct.pack("!HHIIBBHHH", *ports, *numbers, 0x50, flags, 512, 0, 0) + segment


def udp(rng, ports):
    payload = rng.randbytes(rng.choice([8, 30]))
    return struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload


def vxlan(inner, nodes):
    header = struct.pack("!II", 0x08000000, 4096 << 8)
    carried = header + bytes(12) + b"\x08\x00" + inner
    return ipv4(
        *nodes, 17, struct.pack("!HHHH", 40000, 4789, 8 + len(carried), 0) + carried
    )


def packets_of(rng):
    """Give the IP packets of one event: one, or a datagram's fragments, or an error."""
    source, destination = rng.sample(range(0x0A000001, 0x0A000001 + HOSTS), 2)
    ports = rng.sample([80, 443, 40000, 40001, 40002], 2)
    kind = rng.random()
    if kind < 0.5:
        plain = ipv4(source, destination, 6, tcp(rng, ports))
    elif kind < 0.7:
        plain = ipv4(source, destination, 17, udp(rng, ports))
    elif kind < 0.8:
        return [
            ipv6(
                source,
                destination,
                *rng.choice([(6, tcp(rng, ports)), (17, udp(rng, ports))]),
            )
        ]
    elif kind < 0.9:
        number = rng.randrange(65536)
        whole = struct.pack("!HHHH", *ports, 72, 0) + bytes(64)
        return [
            ipv4(
                source,
                destination,
                17,
                whole[:24],
                identification=number,
                fragment=0x2000,
            ),
            ipv4(
                source,
                destination,
                17,
                whole[24:48],
                identification=number,
                fragment=0x2003,
            ),
            ipv4(
                source, destination, 17, whole[48:], identification=number, fragment=6
            ),
        ]
    else:
        quoted = ipv4(source, destination, 17, udp(rng, ports))
        router = 0x0A0000FE
        return [
            quoted,
            ipv4(router, source, 1, struct.pack("!BBHI", 3, 3, 0, 0) + quoted),
        ]
    return (
        [vxlan(plain, rng.sample([0xC0A80001, 0xC0A80002], 2))]
        if rng.random() < 0.4
        else [plain]
    )


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """Few five-tuples in all states, fragments far apart, times that run backwards."""
    rng = random.Random(11)
    path = tmp_path_factory.mktemp("threads") / "busy.pcap"
    late = []
    now = 1_000 * SECOND
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 101))
        for _ in range(PACKETS):
            now += rng.randrange(20_000_000)
            if late and rng.random() < 0.3:
                packet = late.pop(rng.randrange(len(late)))
            else:
                packet, *more = packets_of(rng)
                late += more
            time = now - rng.choice([0, 0, 0, 1, 9]) * rng.randrange(SECOND)
            head = divmod(time, SECOND)
            file.write(struct.pack("<IIII", *head, len(packet), len(packet)) + packet)
    return path


@pytest.mark.parametrize(
    ("threads", "chunk_size"),
    [(1, 999), (2, 262_144), (2, 4_099), (3, 20_000), (8, 65_536), (8, 701)],
)
@pytest.mark.parametrize(
    "timeouts",
    [{}, {"idle_timeout": 2.0}, {"idle_timeout": 30.0, "active_timeout": 3.0}],
    ids=["no timeout", "idle", "active"],
)
def test_flows_that_cross_every_cut_are_the_same(busy, timeouts, threads, chunk_size):
    alone = tables(busy, 1, **timeouts)
    assert tables(busy, threads, chunk_size=chunk_size, **timeouts) == alone


def test_the_capture_has_what_could_go_wrong(busy):
    flows = analyzer.build_tables(busy, threads=2, idle_timeout=2.0).flows.collect()
    assert len(flows) > 3 * len(flows["community_id"].unique())
    for name in ("fragments", "icmp_errors", "originator_retransmits"):
        assert flows[name].sum() > 50, name
    assert flows["tcp_state"].n_unique() > 8


@pytest.mark.parametrize("path", sample_captures(), ids=sample_name)
def test_every_sample_is_the_same_with_threads(path):
    assert outcome(path, 3) == outcome(path, 1)


def outcome(path, threads):
    try:
        return tables(path, threads)
    except analyzer.AnalyzerError as error:
        return str(error)


@pytest.mark.parametrize("name", ["loadbalancer", "dualstack"])
def test_several_captures_of_a_cluster_are_the_same_with_threads(name):
    paths = sorted((CAPTURES / "cluster" / name).glob("*.pcap.gz"))
    alone = tables(paths, 1)
    assert tables(paths, 2) == alone
    assert tables(paths, 5, chunk_size=10_000) == alone


def test_written_tables_are_the_same_octet_for_octet(busy, tmp_path):
    from analyzer.pipeline import write_tables

    written = []
    for threads in (1, 2, 6):
        directory = tmp_path / str(threads)
        write_tables([busy], directory, threads=threads, idle_timeout=2.0)
        written.append((directory / "flows.arrow").read_bytes())
    assert written[1:] == written[:1] * 2

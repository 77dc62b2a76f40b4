"""What a snapshot length left nothing of is unknown."""

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from captures.files import Frame, pcap
from captures.lab import START
from tests.frames import flow_rows


@pytest.mark.parametrize("layer", [TCP, UDP])
@pytest.mark.parametrize("left", [0, 2, 3])
def test_ports_that_were_cut_off_are_null(layer, left, tmp_path):
    packet = Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / layer(sport=5, dport=6)
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcap([Frame(bytes(packet), START, len(packet)).cut(34 + left)]))
    (flow,) = flow_rows(path)
    assert flow["protocol"] == layer.__name__.lower()
    assert (flow["originator_port"], flow["responder_port"]) == (None, None)

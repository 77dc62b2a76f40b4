"""Settings and fixtures that all tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from captures.files import ETHERNET, pcap
from tests.frames import NODEPORT, as_frames, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from scapy.packet import Packet

    from captures.files import Frame

# The same examples on every run of CI; new ones at every desk.
settings.register_profile(
    "desk",
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.register_profile("ci", parent=settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "desk")


@pytest.fixture
def write_capture(tmp_path: Path) -> Callable[..., Path]:
    """Write frames (scapy packets, octets or frames) as a pcap and give its path."""

    def write(
        frames: Iterable[Packet | bytes | Frame],
        *,
        name: str = "node-a.eth0.pcap",
        link_type: int = ETHERNET,
        **how: object,
    ) -> Path:
        path = tmp_path / name
        path.write_bytes(pcap(as_frames(frames), link_type=link_type, **how))
        return path

    return write


@pytest.fixture(scope="session")
def nodeport(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Unpack the recorded cluster's captures; file name without ``.gz`` to path."""
    folder = tmp_path_factory.mktemp("nodeport")
    return {
        packed.name.removesuffix(".gz"): unpacked(packed, folder)
        for packed in sorted(NODEPORT.glob("*.gz"))
    }

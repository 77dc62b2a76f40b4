"""The packets of all flows, one slice of time after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.traffic.headers import LAYOUTS_PER_KIND, SYN_LAYOUT
from benchmarks.traffic.plan import ICMP, TCP, mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.traffic.plan import Flows

    Array = NDArray[Any]

MSS = 1398  # octets of payload that fit into a pod's MTU of 1450, with timestamps

# The parts that a packet can play in its flow: who sends it, with which TCP flags,
# and how many sequence numbers it uses up besides its payload's.
#          SYN  SYN-ACK ACK request ack response ack FIN  FIN  ACK  RST  ask answer
SENDER = np.array([0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1], np.uint8)
FLAGS = np.array(
    [0x02, 0x12, 0x10, 0x18, 0x10, 0x18, 0x10, 0x11, 0x11, 0x10, 0x14, 0, 0], np.uint8
)
USES_SEQUENCE = np.array([1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0], np.uint8)
REQUEST, RESPONSE, RESET, ASK, ANSWER = 3, 5, 10, 11, 12
HANDSHAKE, CLOSE, EXCHANGE = 3, 3, 4  # packets in each


@dataclass
class Packets:
    """The packets of one slice of time, flow by flow, each flow's in order."""

    flow: Array
    number: Array
    time: Array
    role: Array
    sender: Array
    payload: Array
    seq: Array
    ack: Array
    tsval: Array
    tsecr: Array
    layout: Array
    noise: Array

    def __len__(self) -> int:
        return len(self.flow)


def make_packets(flows: Flows, end: float, seed: int) -> Packets:
    """Make the packets before time ``end`` that have not been made yet."""
    due, number = flows.due(end)
    flow = np.repeat(due, number)
    first = np.cumsum(number) - number
    number = np.arange(len(flow)) + np.repeat(flows.written[due] - first, number)
    time = flows.time(flow, number, seed)
    early = time < end
    flow, number, time = flow[early], number[early], time[early]

    role = _roles(flows, flow, number)
    sender = SENDER[role]
    noise = mix(flow, number, seed + 2)
    protocol = flows.protocol[flow]
    payload = _payloads(role, protocol, noise)
    seq, ack, tsval, tsecr = _streams(flows, flow, role, payload, time)
    transport = np.where((protocol == TCP) & (role < 2), np.uint8(SYN_LAYOUT), protocol)
    layout = flows.kind[flow] * LAYOUTS_PER_KIND + transport
    flows.written += np.bincount(flow, minlength=len(flows.size))
    return Packets(
        flow=flow,
        number=number,
        time=time,
        role=role,
        sender=sender,
        payload=payload,
        seq=seq,
        ack=ack,
        tsval=tsval,
        tsecr=tsecr,
        layout=layout,
        noise=noise,
    )


def _roles(flows: Flows, flow: Array, number: Array) -> Array:
    """Tell which part each packet plays in its flow."""
    left = flows.size[flow] - 1 - number
    role = np.where(
        number < HANDSHAKE, number, HANDSHAKE + (number - HANDSHAKE) % EXCHANGE
    )
    closing = HANDSHAKE + EXCHANGE + CLOSE - 1
    role = np.where(left < CLOSE, closing - left, role)
    role = np.where(flows.refused[flow], number * RESET, role)
    return np.where(flows.protocol[flow] == TCP, role, ASK + number % 2)


def _payloads(role: Array, protocol: Array, noise: Array) -> Array:
    """Draw the octets above each packet's transport header."""
    small = (noise & np.uint64(0xFFFF)).astype(np.int64)
    other = (noise >> np.uint64(16) & np.uint64(0xFFFF)).astype(np.int64)
    return np.select(
        [
            role == REQUEST,
            role == RESPONSE,
            (role >= ASK) & (protocol == ICMP),
            role == ASK,
            role == ANSWER,
        ],
        [
            80 + small % 540,
            np.where(other % 10 < 3, MSS, 100 + small % 800),
            56,
            40 + small % 120,
            60 + small % 700,
        ],
        0,
    )


def _streams(
    flows: Flows, flow: Array, role: Array, payload: Array, time: Array
) -> tuple[Array, Array, Array, Array]:
    """Give sequence and acknowledgement numbers, and timestamps and their echoes."""
    count = len(flow)
    row = np.arange(count)
    starts = np.flatnonzero(np.diff(flow, prepend=-1))
    first = np.repeat(starts, np.diff(starts, append=count))
    ends = np.append(starts[1:], count) - 1
    owner = flow[starts]
    sender = SENDER[role]
    milliseconds = (time // 1_000_000).astype(np.uint32)

    position = np.empty((2, count), np.uint32)  # before each packet
    heard = np.empty((2, count), np.uint32)  # each side's latest timestamp
    for side in (0, 1):
        mine = sender == side
        used = np.where(mine, payload + USES_SEQUENCE[role], 0)
        total = np.cumsum(used)
        before = total - used
        position[side] = flows.isn[side, flow] + flows.sent[side, flow]
        position[side] += (before - before[first]).astype(np.uint32)
        flows.sent[side, owner] += (total[ends] - before[starts]).astype(np.uint32)

        latest = np.maximum.accumulate(np.where(mine, row, -1))
        tsval = flows.clock[side, flow] + milliseconds
        heard[side] = np.where(
            latest >= first, tsval[latest], flows.last_tsval[side, flow]
        )
        flows.last_tsval[side, owner] = heard[side, ends]
    ack = np.where(role == 0, np.uint32(0), position[1 - sender, row])
    tsecr = np.where(role == 0, np.uint32(0), heard[1 - sender, row])
    return position[sender, row], ack, heard[sender, row], tsecr

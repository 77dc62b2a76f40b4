from analyzer._cext.decode import Decoder
from analyzer._cext.flows import FlowTable
from analyzer._cext.frames import FrameReader
from analyzer._cext.order import PacketOrder
from analyzer._cext.packets import PacketRows

def scan(
    reader: FrameReader,
    decoder: Decoder,
    order: PacketOrder,
    flows: FlowTable | None,
    rows: PacketRows | None,
) -> bool: ...

from analyzer._cext.decode import Decoder
from analyzer._cext.flows import FlowTable
from analyzer._cext.frames import FrameReader
from analyzer._cext.packets import PacketRows

def scan(
    reader: FrameReader,
    decoder: Decoder,
    flows: FlowTable | None,
    rows: PacketRows | None,
) -> bool: ...

"""One conversation for each of Zeek's thirteen connection states, by client port."""

from captures.files import pcap
from captures.lab import Conversation, frames

FIRST_PORT = 41_000


def scripts() -> dict[str, list]:
    """Give the segments that end in each state."""

    def talk() -> Conversation:
        return Conversation(client_port=FIRST_PORT + len(made))

    made: dict[str, list] = {}
    made["S0"] = [talk().client("S")]
    made["S1"] = talk().handshake()
    c = talk()
    made["SF"] = [*c.handshake(), c.client("PA", b"?"), c.server("PA", b"!")]
    made["SF"] += c.goodbye()
    c = talk()
    made["REJ"] = [c.client("S"), c.server("RA")]
    c = talk()
    made["S2"] = [*c.handshake(), c.client("FA"), c.server("A")]
    c = talk()
    made["S3"] = [*c.handshake(), c.server("FA"), c.client("A")]
    c = talk()
    made["RSTO"] = [*c.handshake(), c.client("PA", b"?"), c.client("RA")]
    c = talk()
    made["RSTR"] = [*c.handshake(), c.client("PA", b"?"), c.server("RA")]
    c = talk()
    made["RSTOS0"] = [c.client("S"), c.client("R")]
    c = talk()
    made["RSTRH"] = [c.server("SA"), c.server("R")]
    c = talk()
    made["SH"] = [c.client("S"), c.client("F")]
    c = talk()
    made["SHR"] = [c.server("SA"), c.server("FA")]
    c = talk()
    made["OTH"] = [c.client("PA", b"midway"), c.server("A"), c.server("PA", b"so on")]
    return made


def build() -> bytes:
    """Write all conversations, one after the other."""
    return pcap(frames(s for segments in scripts().values() for s in segments))

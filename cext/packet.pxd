# What decoding one frame found: the descriptor that the flow table and the packets
# table are made from. Names without `outer_` are those of the innermost IP header.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


# In the order of STOP_REASONS in analyzer/tables/schema.py, shifted by one.
cdef enum StopReason:
    STOP_NONE = 0
    STOP_TRUNCATED      # the capture has fewer octets than the header needs
    STOP_MALFORMED      # the header contradicts itself or its specification
    STOP_UNSUPPORTED    # known to go on, but not decoded here


# In the order of STOP_LAYERS in analyzer/decode/__init__.py.
cdef enum Layer:
    LAYER_LINK = 0
    LAYER_ETHERNET
    LAYER_VLAN
    LAYER_SLL
    LAYER_SLL2
    LAYER_NULL
    LAYER_IPV4
    LAYER_IPV6
    LAYER_TCP
    LAYER_UDP
    LAYER_SCTP
    LAYER_ICMP
    LAYER_ICMP6
    LAYER_VXLAN
    LAYER_GENEVE
    LAYER_GRE
    LAYER_IPIP


# In the order of TUNNELS in analyzer/tables/schema.py, shifted by one.
cdef enum Tunnel:
    TUNNEL_NONE = 0
    TUNNEL_VXLAN
    TUNNEL_GENEVE
    TUNNEL_GRE
    TUNNEL_IPIP


cdef enum:
    LONG_SEGMENT = 61           # no TCP header is as long: it has payload
    LAYER_COUNT = 17
    TUNNEL_COUNT = 5


# Which fields of a Packet were read.
cdef enum:
    HAS_VLAN = 1 << 0
    HAS_VNI = 1 << 1
    HAS_ETHERTYPE = 1 << 2
    HAS_PORTS = 1 << 3
    HAS_SEQ = 1 << 4
    HAS_ACK = 1 << 5
    HAS_FLAGS = 1 << 6
    HAS_WINDOW = 1 << 7
    HAS_PAYLOAD_LENGTH = 1 << 8
    HAS_SYN_OPTIONS = 1 << 9
    HAS_TSVAL = 1 << 10
    HAS_MSS = 1 << 11
    HAS_WINDOW_SCALE = 1 << 12
    HAS_ICMP = 1 << 13
    HAS_ICMP_ID = 1 << 14
    HAS_DIGEST = 1 << 15
    IS_FRAGMENT = 1 << 16
    IS_LATER_FRAGMENT = 1 << 17
    IS_COOKED_V1 = 1 << 18      # SLL: copies of other interfaces cannot be told apart
    HAS_IP_VNI = 1 << 19
    # What the packets before it tell; see cext/order.pyx.
    IS_JOINED = 1 << 20         # a later fragment with the ports of the first one
    IS_COPY = 1 << 21           # seen just now at another interface
    # These describe the frame, the others the innermost IP packet.
    FRAME_FIELDS = HAS_VLAN | HAS_VNI | HAS_ETHERTYPE | IS_COOKED_V1


cdef struct Address:
    uint64_t high       # the first eight octets of an IPv6 address, 0 for IPv4
    uint64_t low        # the last eight, or the IPv4 address; as numbers


# A digest's bits of the head of the payload are from here on; see digest_of in
# cext/decode.pyx.
cdef enum:
    DIGEST_HALF = 32


cdef struct Packet:
    # What the capture reader fills in.
    const uint8_t* data         # valid until the reader's buffer is filled again
    int64_t time                # nanoseconds since the epoch, or NO_TIME
    uint32_t captured_length
    uint32_t wire_length
    uint32_t interface          # index into the reader's interfaces
    uint32_t link_type          # LINKTYPE_ value of that interface
    uint64_t frame              # 1-based number in its capture
    # What decoding starts without; see `forget`.
    uint32_t has                # HAS_ and IS_ bits
    uint32_t link_interface     # SLL2 interface index
    uint32_t ip_length          # octets of the innermost IP packet, on the link
    uint32_t payload_length     # octets above the transport header, on the link
    uint32_t vni                # of the last VXLAN or Geneve header
    uint32_t ip_vni             # of the one that carries the innermost IP packet
    uint8_t ip_version          # 0: no IP header was read
    uint8_t outer_version       # 0: not encapsulated
    uint8_t ip_layers           # IP headers read
    uint8_t tunnel_depth
    uint8_t tunnel              # of the last encapsulation header
    uint8_t ip_tunnel           # of the one that carries the innermost IP packet
    uint8_t stop_reason
    uint8_t stop_layer
    const uint8_t* quoted       # the packet that an ICMP error quotes, or NULL
    const uint8_t* quoted_end
    uint8_t tcp_flags
    # Each of these is set as `has` or a version says.
    uint8_t protocol
    uint8_t ttl
    uint8_t window_scale
    uint8_t icmp_type
    uint8_t icmp_code
    uint8_t segment_length      # octets of the TCP segment, at most LONG_SEGMENT
    uint16_t ethertype
    Address src
    Address dst
    Address outer_src
    Address outer_dst
    uint64_t digest             # of the start of the payload, for non-TCP
    uint32_t seq
    uint32_t ack
    uint16_t src_port
    uint16_t dst_port
    uint32_t point              # observation point
    uint32_t fragment_id
    uint32_t tsval
    uint32_t option_kinds       # of a SYN: kinds in order, four bits each
    uint16_t vlan
    uint16_t ip_id
    uint16_t window
    uint16_t mss
    uint16_t icmp_id

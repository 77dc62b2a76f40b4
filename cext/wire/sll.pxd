# Linux cooked captures: what `tcpdump -i any` writes in place of a link-layer header.
# Specification: LINKTYPE_LINUX_SLL and LINKTYPE_LINUX_SLL2 of the tcpdump group.
#
# SLL   +---------+---------+--------+-------------+----------+
#       | type(2) | arp (2) | len (2)| address (8) | proto (2)|
#       +---------+---------+--------+-------------+----------+
# SLL2  +---------+------+------------+-------+-------+------+-----------+
#       | proto(2)| 0 (2)| ifindex (4)| arp(2)|type(1)|len(1)|address (8)|
#       +---------+------+------------+-------+-------+------+-----------+

cdef enum:
    SLL_HEADER = 16
    SLL_PROTOCOL = 14
    SLL2_HEADER = 20
    SLL2_PROTOCOL = 0
    SLL2_INTERFACE = 4

"""Flows of many connections to one Service, seen at every device on their way.

Made without packets: what correlation reads is the flow table, and a table of millions
of flows is made here faster than captures of them could be written.
"""

"""Hold the analyzer's connections against the truth of recorded clusters.

Independent of how connections are correlated: rows are recognised by the flows that
they are made of, flows by what tshark counted (``observed.jsonl``), and every
statement of a row is compared with what conntrack and the servers' logs tell
(``truth.jsonl``).
"""

"""The questions that ``python -m benchmarks`` answers, each in a module.

Every module has ``measure``, which gives what goes into its JSON file; ``faults``,
which says what was wrong or failed; ``markdown``, which writes its table; and
``chart``, which draws it.
"""

"""How fast the analyzer is, and next to what; see ``benchmarks/README.md``."""

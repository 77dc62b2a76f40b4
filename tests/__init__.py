"""What the analyzer promises, one fact a test; the folders mirror ``analyzer/``."""

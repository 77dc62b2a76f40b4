"""Everything that the analyzer raises on purpose.

::

    AnalyzerError
    ├── CaptureError           a capture that cannot be read at all
    │   └── UnknownFormatError
    ├── ClusterError           cluster state that cannot be used
    ├── TablesError            a tables directory that cannot be read or written
    ├── QueryError             an expression that does not fit the tables
    └── DiagramError           a picture that cannot be drawn as it was asked for

A damaged packet is data, not an error: it keeps its row, with ``stop_reason`` and
``stop_layer``. A capture that breaks off is read up to the damage and reported as
:class:`analyzer.capture.Damage`.
"""


class AnalyzerError(Exception):
    """A failure that the user can act on.

    Parameters
    ----------
    message : str
        Where, what was found, what was expected; one line.
    hint : str, optional
        What to do next; one line.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class CaptureError(AnalyzerError):
    """A capture cannot be read."""


class UnknownFormatError(CaptureError, ValueError):
    """A file is not a capture in a format that is understood."""


class ClusterError(AnalyzerError, ValueError):
    """Cluster state cannot be read or makes no sense."""


class TablesError(AnalyzerError):
    """A tables directory cannot be read or written."""


class QueryError(AnalyzerError, ValueError):
    """An expression does not fit the tables that it is asked of."""


class DiagramError(AnalyzerError):
    """A picture cannot be drawn as it was asked for."""

"""YAML from anywhere, read without letting it take the process down."""

from __future__ import annotations

import functools
from typing import Any

from analyzer.errors import ClusterError

#: Levels of nesting; Kubernetes objects have about twenty.
_MAX_DEPTH = 200


def read_yaml(text: str) -> list[Any]:
    """Read all documents of a text.

    Parameters
    ----------
    text : str

    Returns
    -------
    list
        One plain Python object for each document.

    Raises
    ------
    ClusterError
        If it is not YAML, or nothing that kubectl writes; the message says why, with
        the line (from 1) in ``text`` where that is known.
    """
    import yaml

    try:
        return list(yaml.load_all(text, _loader()))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}" if mark else ""
        raise ClusterError(f"{error.problem or error.context}{where}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ClusterError(" ".join(str(error).split())) from None


@functools.cache
def _loader() -> Any:
    """Make a loader that is fast, if PyYAML was built with libyaml, and wary."""
    import yaml

    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    def descend_resolver(self: Any, node: Any, index: Any) -> None:
        del node, index  # resolvers by path are not in use
        self.depth = getattr(self, "depth", 0) + 1
        if self.depth > _MAX_DEPTH:
            raise yaml.YAMLError(f"more than {_MAX_DEPTH} levels of nesting")

    def ascend_resolver(self: Any) -> None:
        self.depth -= 1

    def flatten_mapping(self: Any, node: Any) -> None:
        del self, node

    return type(
        "Loader",
        (base,),
        {
            # libyaml's composer recurses in C, where too deep is a segmentation fault.
            "descend_resolver": descend_resolver,
            "ascend_resolver": ascend_resolver,
            # Merge keys ("<<") let a small text stand for a huge one.
            "flatten_mapping": flatten_mapping,
        },
    )

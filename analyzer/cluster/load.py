"""Files of cluster state, told by what they hold."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.cluster import (
    conntrack,
    ip_addr,
    iptables_save,
    ipvsadm,
    nft_json,
    nft_ruleset,
    wide_text,
)
from analyzer.cluster.found import Found
from analyzer.cluster.kubernetes_objects import read_objects
from analyzer.cluster.split import NOT_USED, split
from analyzer.cluster.yaml_documents import read_yaml
from analyzer.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer.cluster.split import TextPart

#: Octets of one file; a pod takes about eight thousand as JSON.
MAX_FILE_SIZE = 1 << 28

_WHAT_IS_TAKEN = (
    "cluster state is the output of kubectl get (-o json, yaml or wide), ip addr, "
    "iptables-save, nft list ruleset, ipvsadm -Ln and conntrack"
)
_SAVE_AGAIN = "if it broke off while it was written, save it again"
_READERS = {
    "conntrack": conntrack.read,
    "ip addr": ip_addr.read_text,
    "iptables-save": iptables_save.read,
    "ipvsadm": ipvsadm.read,
    "nft ruleset": nft_ruleset.read,
}
_GZIP = b"\x1f\x8b"
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
# How a file starts that PowerShell has written.
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def find(paths: Iterable[str | os.PathLike[str]]) -> list[Found]:
    """Read files and directories of them.

    Parameters
    ----------
    paths : iterable of path

    Returns
    -------
    list of Found
        In the order of the files' names, and of the parts in each file.
    """
    all_found: list[Found] = []
    seen = set()
    files = [file for path in paths for file in _files(Path(path))]
    for file, was_named in sorted(files):
        place = os.path.realpath(file)
        if place not in seen:
            seen.add(place)
            all_found += _read_file(file, was_named)
    return all_found


def _files(path: Path) -> Iterator[tuple[Path, bool]]:
    """List the files of a path, each with whether it was named itself."""
    if not path.is_dir():
        yield path, True
        return
    is_empty = True
    for directory, subdirectories, names in os.walk(path):
        subdirectories[:] = [name for name in subdirectories if name[0] != "."]
        for name in names:
            file = Path(directory, name)
            if name[0] != "." and file.is_file():
                is_empty = False
                yield file, False
    if is_empty:
        raise ClusterError(f"{path}: no files in this directory", hint=_WHAT_IS_TAKEN)


def _read_file(path: Path, was_named: bool) -> list[Found]:
    try:
        with path.open("rb") as file:
            content = file.read(4096)
            if not _is_text(content):
                if was_named:
                    raise ClusterError(
                        f"{path}: not text (starts with {content[:4].hex(' ')})",
                        hint=f"{_WHAT_IS_TAKEN}, not compressed",
                    )
                return [Found(str(path), 1, "not text", used=False)]
            content += file.read(MAX_FILE_SIZE)
    except OSError as error:
        raise ClusterError(
            f"{path}: {(error.strerror or str(error)).lower()}",
            hint="check the spelling and the permissions",
        ) from None
    if len(content) > MAX_FILE_SIZE:
        raise ClusterError(
            f"{path}: larger than {MAX_FILE_SIZE:,} octets",
            hint="save less of the cluster, or each namespace in a file of its own",
        )
    encoding = "utf-16" if content.startswith(_UTF_16_MARKS) else "utf-8-sig"
    text = _COLOUR.sub("", content.decode(encoding, "replace"))
    found: list[Found] = []
    for number, part in enumerate(split(text)):
        of_part = _read_part(part, str(path), is_first=number == 0)
        for item in of_part:
            item.pod = part.above.pod
            item.is_listing &= not part.above.is_selective
        found += of_part
    return found or [Found(str(path), 1, "empty", used=False)]


def _is_text(content: bytes) -> bool:
    if content.startswith(_UTF_16_MARKS):
        return True
    return b"\0" not in content and not content.startswith(_GZIP)


def _read_part(part: TextPart, path: str, *, is_first: bool) -> list[Found]:
    """Read a part according to its kind; a file that starts broken is an error."""
    if part.kind in ("table", "rows"):
        return wide_text.read_rows(part, path)
    if part.kind in _READERS:
        return [_READERS[part.kind](part, path)]
    if part.kind in ("JSON", "YAML"):
        if part.kind == "YAML":
            _fill_in_yaml(part)
        if part.error is None:
            return _read_documents(part, path)
        if is_first:
            raise ClusterError(
                f"{path}: not valid {part.kind} ({part.error})", hint=_SAVE_AGAIN
            )
        found = Found(path, part.line, f"broken {part.kind}", used=False)
        found.remark(part.line, part.lines[0], part.error, len(part.lines))
        return [found]
    if part.kind in NOT_USED:
        entries = sum(bool(line) for line in part.lines)
        return [Found(path, part.line, part.kind, used=False, others=entries)]
    return []  # prose


def _read_documents(part: TextPart, path: str) -> list[Found]:
    interfaces, objects, found = [], [], []
    for line, document in part.documents:
        if ip_addr.is_ip_addr(document):
            interfaces.append((line, document))
        elif nft_json.is_nft(document):
            found.append(nft_json.read(document, line, path, part.host))
        else:
            objects.append((line, document))
    found += ip_addr.read_json(interfaces, path, part.host)
    found += read_objects(objects, path, part.kind)
    return found or [Found(path, part.line, f"empty {part.kind}", used=False)]


def _fill_in_yaml(part: TextPart) -> None:
    # Blank lines in front keep the line numbers of messages those of the file.
    text = "\n" * (part.line - 1) + "\n".join(part.lines)
    try:
        documents = read_yaml(text)
    except ClusterError as error:
        part.error = str(error)
    else:
        part.documents = [(part.line, document) for document in documents]

"""SVG, held against the W3C's document type definition, as Debian ships it."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

from tests.frames import require_file, require_program

if TYPE_CHECKING:
    from collections.abc import Iterator

SVG = "{http://www.w3.org/2000/svg}"
_DTD = Path("/usr/share/xml/w3c-sgml-lib/schema/dtd/REC-SVG11-20110816/svg11.dtd")
_XLINK = "http://www.w3.org/1999/xlink"
#: What SVG 2 added to all elements and the definition, of SVG 1.1, does not know: for
#: those who cannot see the picture, and (data-) for programs.
_NEWER = re.compile("role|aria-(hidden|label|labelledby|roledescription)|data-[a-z-]+")

ET.register_namespace("", SVG[1:-1])
ET.register_namespace("xlink", _XLINK)


def assert_valid(svg: str) -> None:
    """See that a document is SVG, and refers to nothing that is not there."""
    dtd = str(require_file(_DTD))
    root = ET.fromstring(svg)  # noqa: S314  ours
    missing = set(_references(root)) - {element.get("id") for element in root.iter()}
    assert not missing, f"nothing has these ids: {missing}"
    for element in root.iter():
        for name in list(filter(_NEWER.fullmatch, element.attrib)):
            del element.attrib[name]
    done = subprocess.run(
        [require_program("xmllint"), "--noout", "--nonet", "--dtdvalid", dtd, "-"],
        input=ET.tostring(root),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()


def _references(root: ET.Element) -> Iterator[str]:
    """Give the ids that the parts of a document refer to."""
    for element in root.iter():
        yield from element.get("aria-labelledby", "").split()
        for text in (*element.attrib.values(), element.text or ""):
            yield from re.findall(r"url\(\s*[\"']?#([^)\"']+)", text)
        for name in ("href", f"{{{_XLINK}}}href"):
            yield from re.findall("^#(.+)", element.get(name, ""))

"""What is no SVG is told from what is, and the pictures in docs/ are."""

from __future__ import annotations

import pytest

from tests.frames import ROOT
from tests.svg import assert_valid

PICTURE = """
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 role="img" aria-labelledby="title"><title id="title">A</title>
 <clipPath id="clip"><rect width="9" height="9"/></clipPath>
 <g data-pod="web" clip-path="url(#clip)"><use xlink:href="#clip"/>{}</g></svg>
"""


def test_a_picture_is_valid():
    assert_valid(PICTURE.format('<rect id="rect" width="1" height="1"/>'))


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        ("<banner/>", "No declaration for element banner"),
        ('<path d="M0 0" colour="red"/>', "No declaration for attribute colour"),
        ('<path d="M0 0" aria-pressed="true"/>', "attribute aria-pressed"),
        ('<rect width="1"/>', "does not carry attribute height"),
        ("<style>g{}</style>", "does not carry attribute type"),
        ('<text><path d="M0 0"/></text>', "path is not declared in text list"),
        ("<g>text</g>", "content does not follow the DTD"),
        ('<g id="clip"/>', "ID clip already defined"),
        ('<g fill="url(#none)"/>', "ids: {'none'}"),
        ("<g style=\"fill:url('#none')\"/>", "ids: {'none'}"),
        ('<style type="text/css">g{fill:url(#none)}</style>', "ids: {'none'}"),
        ('<use xlink:href="#none"/>', "ids: {'none'}"),
        ('<g aria-labelledby="title none"/>', "ids: {'none'}"),
    ],
)
def test_what_is_broken_is_not(part, complaint):
    with pytest.raises(AssertionError, match=complaint):
        assert_valid(PICTURE.format(part))


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/*.svg")), ids=lambda p: p.name)
def test_pictures_in_docs_are_valid(path):
    assert_valid(path.read_text("utf-8"))

"""Colours: services by hue, all else by meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: In the order in which services get them.
SERVICES = (
    "#2f78c4",
    "#e0832b",
    "#2e9e6b",
    "#b04fa5",
    "#c9a400",
    "#1fa3b3",
    "#8a6d4f",
)
#: What has no service, or none of the colours.
OTHER = "#8391a3"

#: Styles by name: attributes of SVG, for light and for dark.
STYLES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "page": ({"fill": "#ffffff"}, {"fill": "#14181e"}),
    "text": ({"fill": "#1c2530"}, {"fill": "#e6ebf1"}),
    "soft": ({"fill": "#566373"}, {"fill": "#a3b0bf"}),
    "heading": ({"fill": "#1c2530"}, {"fill": "#e6ebf1"}),
    "alarm": ({"fill": "#b3261e"}, {"fill": "#ff8a80"}),
    "lane": ({"fill": "#f6f8fa"}, {"fill": "#191e26"}),
    "overlay": ({"fill": "#efeafb"}, {"fill": "#241f38"}),
    "overlaytext": ({"fill": "#5b3fa6"}, {"fill": "#bba7f5"}),
    "card": (
        {"fill": "#ffffff", "stroke": "#b9c4d0", "stroke-width": "1"},
        {"fill": "#202731", "stroke": "#4a5666", "stroke-width": "1"},
    ),
    "unseen": (
        {
            "fill": "#ffffff",
            "stroke": "#7d8a99",
            "stroke-width": "1",
            "stroke-dasharray": "4 3",
        },
        {
            "fill": "#1b2129",
            "stroke": "#8391a3",
            "stroke-width": "1",
            "stroke-dasharray": "4 3",
        },
    ),
    "chip": (
        {"fill": "#eef2f6", "stroke": "#b9c4d0", "stroke-width": "1"},
        {"fill": "#2a323e", "stroke": "#4a5666", "stroke-width": "1"},
    ),
    "tunnel": (
        {"fill": "#e2d9f8", "stroke": "#8a6fd1", "stroke-width": "1"},
        {"fill": "#382d5c", "stroke": "#8a6fd1", "stroke-width": "1"},
    ),
    "bar": ({}, {}),
    "dnat": ({"fill": "#a3261d"}, {"fill": "#c24038"}),
    "snat": ({"fill": "#0f5f74"}, {"fill": "#1d7f99"}),
    "kind": ({"fill": "#3d4a59"}, {"fill": "#556375"}),
    "inverse": ({"fill": "#ffffff"}, {"fill": "#ffffff"}),
    "plate": (
        {"fill": "#ffffff", "fill-opacity": "0.82"},
        {"fill": "#14181e", "fill-opacity": "0.78"},
    ),
    "rule": (
        {"fill": "none", "stroke": "#d5dce4", "stroke-width": "1"},
        {"fill": "none", "stroke": "#36404d", "stroke-width": "1"},
    ),
    "link": (
        {"fill": "none", "stroke-width": "1.4", "stroke-opacity": "0.75"},
        {"fill": "none", "stroke-width": "1.4", "stroke-opacity": "0.75"},
    ),
    "way": (
        {"fill": "none", "stroke-width": "1.8"},
        {"fill": "none", "stroke-width": "1.8"},
    ),
    "cross": (
        {"fill": "none", "stroke": "#b3261e", "stroke-width": "2.4"},
        {"fill": "none", "stroke": "#ff8a80", "stroke-width": "2.4"},
    ),
}


def service_colours(services: Iterable[str]) -> dict[str, str]:
    """Give each service a colour, the first ones their own."""
    colours = {}
    for number, service in enumerate(services):
        colours[service] = SERVICES[number] if number < len(SERVICES) else OTHER
    return colours

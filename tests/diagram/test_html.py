"""The page in a browser: it renders, tells details, filters and zooms."""

from __future__ import annotations

import itertools
import re

import pytest

from analyzer.diagram.html import write_html
from analyzer.diagram.model import picture
from analyzer.diagram.widths import text_width
from tests.diagram.browser import ask, needs_browser
from tests.diagram.pictures import graph, scene
from tests.svg import assert_valid


def page(scenario: str = "loadbalancer") -> str:
    return write_html(scene(scenario), picture(graph(scenario)).colours)


def test_nothing_is_loaded_from_anywhere():
    text = page()
    addresses = set(re.findall(r"https?://[^\s\"'<]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert not re.search(r"\b(src|href)\s*=", text)
    assert "default-src 'none'" in text


def test_its_picture_is_valid_and_no_id_is_there_twice():
    text = page()
    (picture,) = re.findall(r"<svg.*</svg>", text, re.DOTALL)
    assert_valid(picture)
    ids = re.findall(r"<[^>]* id=\"([^\"]+)\"", text)
    assert {"view", "picture", "title"} <= set(ids)
    assert len(ids) == len(set(ids))


@needs_browser
def test_it_opens_without_errors_and_shows_the_picture(tmp_path):
    told, complaints = ask(
        page(),
        """
        const picture = document.getElementById("picture");
        const box = picture.getBoundingClientRect();
        return {
          width: box.width, height: box.height,
          bands: picture.querySelectorAll("path.band").length,
          buttons: [...document.querySelectorAll("button.service")]
            .map((each) => each.dataset.service),
        };
        """,
        tmp_path,
    )
    assert complaints == []
    assert told["width"] == 1200
    assert told["height"] > 700
    assert told["bands"] > 50
    assert set(told["buttons"]) == {
        "default/lb-nginx-ds",
        "default/lb-apache-ds",
        "default/lb-redis-ds",
    }


@needs_browser
def test_pointing_at_a_link_tells_its_details(tmp_path):
    told, complaints = ask(
        page(),
        """
        const edge = document.querySelector(
          'g.edge[data-source="exit/k8s-worker01/vxlan"]'
          + '[data-target="arrival/k8s-master/vxlan"]');
        const details = document.getElementById("details");
        const before = details.hidden;
        edge.querySelector("path")
          .dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
        const text = details.textContent;
        const shown = !details.hidden;
        document.getElementById("picture")
          .dispatchEvent(new PointerEvent("pointerleave"));
        edge.focus();
        return { before, text, shown, byKeyboard: details.textContent === text };
        """,
        tmp_path,
    )
    assert complaints == []
    assert told["before"]
    assert told["shown"]
    assert told["byKeyboard"]
    assert "11 connections, 3.2 MB" in told["text"]
    assert "vxlan VNI 4096 192.168.2.31 → 192.168.2.30" in told["text"]


@needs_browser
def test_a_service_s_button_leaves_only_what_is_of_it(tmp_path):
    told, complaints = ask(
        page(),
        """
        const button = document.querySelector(
          'button.service[data-service="default/lb-redis-ds"]');
        const count = () => [...document.querySelectorAll("g.edge")]
          .filter((each) => !each.classList.contains("dim"))
          .map((each) => each.dataset.services);
        const all = count().length;
        button.click();
        const left = count();
        const pods = [...document.querySelectorAll('g.node[data-id^="backend/"]')]
          .filter((each) => !each.classList.contains("dim"))
          .map((each) => each.dataset.id.split("/")[2]);
        const labels = [...document.querySelectorAll("g.label, g.rewrite")]
          .filter((each) => !each.classList.contains("dim"))
          .map((each) => each.textContent);
        button.click();
        return { all, left, pods, labels, again: count().length };
        """,
        tmp_path,
    )
    assert complaints == []
    assert told["left"]
    assert all("default/lb-redis-ds" in each.split() for each in told["left"])
    assert len(told["left"]) < told["all"] == told["again"]
    assert set(told["pods"]) == {
        "10.1.235.215",
        "10.1.79.79",
        "10.1.69.205",
        "10.1.39.203",
    }
    rewrites = [each for each in told["labels"] if each.startswith("DNAT 8SNAT 6")]
    assert len(rewrites) == 1
    assert not any("DNAT 37" in each for each in told["labels"])


@needs_browser
def test_wheel_buttons_and_dragging_move_the_view(tmp_path):
    told, complaints = ask(
        page(),
        """
        const picture = document.getElementById("picture");
        const view = document.getElementById("view");
        const box = () => picture.getAttribute("viewBox").split(" ").map(Number);
        const first = box();
        view.dispatchEvent(new WheelEvent("wheel",
          { deltaY: -200, clientX: 600, clientY: 450, cancelable: true }));
        const near = box();
        const at = (type, x) => view.dispatchEvent(new PointerEvent(type,
          { clientX: x, clientY: 400, pointerId: 1 }));
        view.setPointerCapture = () => {};
        at("pointerdown", 600); at("pointermove", 500); at("pointerup", 500);
        const moved = box();
        document.getElementById("whole").click();
        return { first, near, moved, whole: box() };
        """,
        tmp_path,
    )
    assert complaints == []
    assert told["near"][2] < told["first"][2]
    assert told["moved"][0] > told["near"][0]
    assert told["moved"][2] == told["near"][2]
    assert told["whole"] == [
        0,
        0,
        1200,
        pytest.approx(scene("loadbalancer").height, abs=0.01),
    ]


@needs_browser
def test_it_is_light_or_dark_as_one_chooses(tmp_path):
    told, complaints = ask(
        page(),
        """
        const paper = () => getComputedStyle(
          document.querySelector("#picture rect.page")).fill;
        document.documentElement.dataset.theme = "light";
        const light = paper();
        document.getElementById("theme").click();
        return { light, dark: paper(), text: getComputedStyle(
          document.querySelector("#picture text.text")).fill };
        """,
        tmp_path,
    )
    assert complaints == []
    assert told == {
        "light": "rgb(255, 255, 255)",
        "dark": "rgb(20, 24, 30)",
        "text": "rgb(230, 235, 241)",
    }


@needs_browser
@pytest.mark.parametrize("scenario", ["loadbalancer", "mixed", "dualstack"])
def test_texts_have_their_places_in_the_browser_too(scenario, tmp_path):
    """By the browser's own measure and fonts, and as wide as we computed."""
    told, complaints = ask(
        page(scenario),
        """
        const texts = [...document.querySelectorAll("#picture text")];
        const boxes = texts.map((each) => each.getBBox());
        for (const each of texts) each.removeAttribute("textLength");
        return texts.map((each, number) => ({
          text: each.textContent,
          size: Number(each.getAttribute("font-size")),
          bold: each.hasAttribute("font-weight"),
          left: boxes[number].x + 1,
          right: boxes[number].x + boxes[number].width - 1,
          y: Number(each.getAttribute("y")),
          natural: each.getComputedTextLength(),
        }));
        """,
        tmp_path,
    )
    assert complaints == []
    assert len(told) > 100
    for text in told:
        wide = text_width(text["text"], text["size"], bold=text["bold"])
        assert text["natural"] == pytest.approx(wide, rel=0.03, abs=0.5), text
        assert text["right"] - text["left"] == pytest.approx(wide, abs=2.5), text
        assert text["left"] >= 0
        assert text["right"] <= 1200
    for one, other in itertools.combinations(told, 2):
        if abs(one["y"] - other["y"]) < 8:
            apart = one["right"] <= other["left"] or other["right"] <= one["left"]
            assert apart, (one, other)

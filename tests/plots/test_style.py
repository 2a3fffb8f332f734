"""Colours that everybody can tell apart on every page, and pictures that are the same bytes again."""

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib import rcParams

from selfdistill.plots.style import (
    COLORS,
    DASHES,
    INK,
    MARKERS,
    PAGE,
    PHONE,
    color,
    dash,
    legend,
    marker,
    panel_grid,
    set_title,
    styled,
    wrap_text,
)
from selfdistill.plots.svg import svg

# what each kind of eye makes of linear RGB (Machado et al., 2009, https://doi.org/10.1109/TVCG.2009.113), severity 1
EYES = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(code):
    values = np.array([int(code[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    lights = sorted(linear(each) @ TO_XYZ[1] + 0.05 for each in (one, other))
    return lights[1] / lights[0]


def lab(rgb):
    x, y, z = np.cbrt(TO_XYZ @ rgb / TO_XYZ.sum(axis=1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("page", ["#ffffff", "#161616"])
@pytest.mark.parametrize("code", COLORS)
def test_every_colour_stands_out_on_light_and_dark(code, page):
    assert contrast(code, page) >= 3


@pytest.mark.parametrize("eye", EYES)
def test_every_eye_tells_the_colours_apart(eye):
    seen = [lab(np.clip(EYES[eye] @ linear(code), 0, 1)) for code in COLORS]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 12


def test_no_two_lines_and_no_two_points_look_alike():
    lines = [(color(k), dash(k)) for k in range(len(COLORS) * len(DASHES))]
    points = [(color(k), marker(k)) for k in range(len(COLORS) * len(MARKERS))]
    assert len(set(lines)) == len(lines)
    assert len(set(points)) == len(points)


@styled
def example(width=PAGE, names=("one", "two")):
    figure, axes = panel_grid(len(names), width, 150)
    for k, (name, each) in enumerate(zip(names, axes, strict=True)):
        (line,) = each.plot([0, 1 / 3], [0, 1 / 7], color=color(k))
        set_title(each, name)
        each.set(xlabel="Größe & <Maß>")
    legend(figure, ["all"], [line])
    return figure


def test_the_same_figure_gives_the_same_bytes():
    assert svg(example(), "a", "title") == svg(example(), "a", "title")


def test_svg_is_sound_and_takes_ink_and_width_from_the_page():
    text = svg(example(), "a", 'a "title"')
    root = ET.fromstring(text)
    assert root.get("width") == str(PAGE)
    assert root.get("viewBox") == f"0 0 {PAGE} {150 + 18}"
    assert root.get("aria-label") == 'a "title"'
    assert "currentColor" in text
    assert INK not in text
    assert not re.search(r"font-family: |metadata|<style|\d\.\d{4}|white|#fff", text)
    assert "Größe &amp; &lt;Maß&gt;" in text


def test_ids_of_two_pictures_of_a_page_differ():
    one, other = (set(re.findall(r' id="([^"]+)"', svg(example(), name))) for name in "ab")
    assert one
    assert not one & other


def test_every_reference_leads_somewhere():
    text = svg(example(), "a")
    assert set(re.findall(r'(?:url\(|href=")#([\w-]+)', text)) == set(re.findall(r' id="([^"]+)"', text))


def test_panels_stand_below_each_other_on_a_phone():
    places = [each.get_subplotspec() for each in example(PHONE).axes]
    assert [each.rowspan.start for each in places] == [0, 1]
    assert [each.get_subplotspec().rowspan.start for each in example(PAGE).axes] == [0, 0]


def test_four_panels_make_two_even_rows():
    figure = example(names="abcd")
    assert [each.get_subplotspec().colspan.start for each in figure.axes] == [0, 1, 0, 1]


def test_what_matplotlib_was_set_to_stays():
    before = dict(rcParams)
    svg(example(), "a")
    assert dict(rcParams) == before


def test_long_titles_are_folded():
    text = "drg(alpha=0.2) + dsr(forget='never')"
    assert wrap_text(text, 700) == text
    assert wrap_text(text, 110) == "drg(alpha=0.2)\n+ dsr(\nforget='never')"
    assert wrap_text("csd(rate=0.5, trust=0.5)", 115) == "csd(rate=0.5,\ntrust=0.5)"
    assert wrap_text("ce()", 5) == "ce()"
    assert "".join(wrap_text(text, 60).split()) == "".join(text.split())
    titles = [each.get_title(loc="left") for each in example(names=(text, "two", "three")).axes]
    assert titles == ["drg(alpha=0.2) + dsr(\nforget='never')", "two", "three"]

"""Deterministic inline SVG of a figure, with the text color, font and background of the page."""

import io
import re
import xml.etree.ElementTree as ET

from matplotlib import rc_context
from matplotlib.figure import Figure

from selfdistill.plots.style import DOTS, INK

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}href"
ET.register_namespace("", SVG.strip("{}"))
PLACES = {"d": ".2f", "x": ".2f", "y": ".2f", "width": ".2f", "height": ".2f", "style": ".3g", "transform": ".6g"}
LONG = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
FONT = re.compile(r"font: ([\w ]*?)([\d.]+px) [^;]*")  # written by matplotlib up to 3.10
FAMILY = re.compile(r"font-family: [^;]*;? ?")
UPRIGHT = re.compile(r"rotate\(-?0 [^)]*\)")
REFERENCE = re.compile(r"#([\w-]+)")


def svg(figure: Figure, name: str, title: str = "") -> str:
    """Render a figure as one `<svg>` element that fits its container.

    `name` makes the ids unique within a page; `title` is the label for screen readers. Equal figures and names give
    equal bytes.
    """
    root = ET.fromstring(_render(figure, name))
    for each in root.iter():
        _restyle(each)
    _drop_ids(root)
    _unwrap(root)
    _share_style(root)
    _set_root_attributes(root, figure, title)
    return ET.tostring(root, encoding="unicode")


def _render(figure: Figure, name: str) -> str:
    """Render with matplotlib: text stays text, and ids depend only on the name and the content."""
    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "svg.image_inline": True}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return file.getvalue()


def _restyle(element: ET.Element) -> None:
    """Replace color and font by the page's own, and shorten numbers."""
    element.tail = None
    element.text = element.text if element.tag == f"{SVG}text" or element.tag == f"{SVG}tspan" else None
    given = element.attrib
    if XLINK in given:
        given["href"] = given.pop(XLINK)
    if element.tag == f"{SVG}image":
        given["style"] = "image-rendering: pixelated"
    for key in PLACES.keys() & given.keys():
        given[key] = _shortened(given[key], PLACES[key])
    if "style" in given:
        given["style"] = FAMILY.sub("", FONT.sub(_sized, given["style"])).replace(INK, "currentColor")
    if UPRIGHT.fullmatch(given.get("transform", "")):
        del given["transform"]


def _sized(found: re.Match[str]) -> str:
    """Return the size and weight of a font without its family."""
    weight = f"; font-weight: {found[1].strip()}" if found[1].strip() else ""
    return f"font-size: {found[2]}{weight}"


def _shortened(text: str, number: str) -> str:
    return " ".join(LONG.sub(lambda found: format(float(found[0]), number), text).split())


def _drop_ids(root: ET.Element) -> None:
    """Remove unreferenced ids, since ids must be unique within a page."""
    values = (value for each in root.iter() for key, value in each.attrib.items() if key != "id")
    used = {name for value in values for name in REFERENCE.findall(value)}
    for each in root.iter():
        if each.get("id") not in used:
            each.attrib.pop("id", None)


def _unwrap(element: ET.Element) -> None:
    """Inline groups without attributes, and remove metadata and style elements."""
    kept: list[ET.Element] = []
    for child in element:
        _unwrap(child)
        kept += list(child) if child.tag == f"{SVG}g" and not child.attrib else [child]
    element[:] = [each for each in kept if each.tag not in (f"{SVG}metadata", f"{SVG}style")]


def _share_style(root: ET.Element) -> None:
    """Move a style that all children of a group share to the group."""
    for group in root.iter(f"{SVG}g"):
        styles = {each.get("style", "") for each in group}
        if len(group) > 1 and len(styles) == 1 and "style" not in group.attrib:
            group.set("style", styles.pop())
            for each in group:
                each.attrib.pop("style", None)


def _set_root_attributes(root: ET.Element, figure: Figure, title: str) -> None:
    """Set the size in pixels, the inherited attributes and the title."""
    width, height = (round(side * DOTS) for side in figure.get_size_inches())
    root.attrib = {"viewBox": f"0 0 {width} {height}", "width": str(width), "height": str(height), "role": "img"}
    root.set("font-family", "system-ui, sans-serif")
    root.set("style", "max-width: 100%; height: auto; stroke-linejoin: round; stroke-linecap: butt")
    if title:
        root.set("aria-label", title)

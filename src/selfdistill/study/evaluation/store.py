"""The file of a run's metrics: read and extended."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfdistill.errors import UserError
from selfdistill.files import folder_name, read_json, write_json
from selfdistill.train.persist.lock import run_lock


@dataclass(frozen=True)
class MetricsFile:
    """Numbers by group as `measure.evaluate` gives them, and the test images that they are of."""

    data: str
    images: int  # of the whole test set
    limited: dict[str, int] = field(default_factory=dict)  # groups that were taken of fewer, and how many
    groups: dict[str, Any] = field(default_factory=dict)

    def of(self, group: str) -> int:
        """Return the number of test images of a group of metrics."""
        return self.limited.get(group, self.images)

    def with_group(self, name: str, numbers: Any, images: int) -> "MetricsFile":
        """The same with one group more; attacks keep those of other epsilons, of the same images."""
        before = self.groups.get(name)
        if name in ("fgsm", "pgd") and before and self.of(name) == images:
            numbers = before | numbers
        others = {group: count for group, count in self.limited.items() if group != name}
        limited = others | ({name: images} if images != self.images else {})
        return MetricsFile(self.data, self.images, limited, self.groups | {name: numbers})


def path_of(folder: Path, data: str | None = None) -> Path:
    """Return the path of a run's metrics, for its own test set or for other images."""
    return folder / ("measures.json" if data is None else f"measures-{folder_name(data)}.json")


def read(path: Path) -> MetricsFile | None:
    """The measures in a file; None where there is none. Raises `UserError` for one that is damaged."""
    if not path.is_file():
        return None
    said = read_json(path)
    try:
        return MetricsFile(said["data"], int(said["images"]), dict(said.get("limited", {})), dict(said["measures"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is not what evaluate writes ({type(error).__name__}: {error}); remove it and measure again"
        ) from None


def add(path: Path, empty: MetricsFile, name: str, numbers: Any, images: int) -> None:
    """Add a group that was taken of so many images to a file; what it holds of another test set makes way.

    `empty` says of which test set. Processes that add to one file wait for each other.
    """
    with run_lock(path.parent, wait=lambda holder: None):
        found = (of_same_images(read(path), empty) or empty).with_group(name, numbers, images)
        limited = {"limited": found.limited} if found.limited else {}
        write_json(path, {"data": found.data, "images": found.images, **limited, "measures": found.groups})


def of_same_images(found: MetricsFile | None, other: MetricsFile) -> MetricsFile | None:
    """Return the stored metrics if they are of the same test set, or None."""
    return found if found and (found.data, found.images) == (other.data, other.images) else None


def flat(groups: Mapping[str, Any]) -> dict[str, float]:
    """All single numbers by their place: "pgd.2/255", "corruption.fog.3", "classes.cat.top1"."""
    return dict(_flat(groups, ""))


def _flat(value: Any, place: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(each, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for number, each in enumerate(value, 1):
            name = each["class"] if isinstance(each, Mapping) else number
            yield from _flat(each, f"{place}.{name}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place, value

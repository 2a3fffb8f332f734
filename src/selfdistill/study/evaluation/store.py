"""metrics.json: the stored metrics of a run."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

from selfdistill.errors import UserError
from selfdistill.files import folder_name, is_file, write_json
from selfdistill.metrics.catalog import CLASS_SCORES
from selfdistill.records import read_record
from selfdistill.schema import Mismatch, between, fits, mismatches, short_repr
from selfdistill.train.persist.lock import run_lock

WAY_OUT = "remove the file and evaluate again"
DEEPEST = 4  # levels of a group
Amount = Annotated[float, between(-(10**15), 10**15)]
ClassRow = TypedDict("ClassRow", {"class": str})  # among numbers


class OtherImages(TypedDict):
    """The group of out-of-distribution metrics: numbers, and the images of other classes."""

    data: str


Damage = dict[str, list[Amount] | Amount]
_KINDS: dict[str, object] = {
    **dict.fromkeys(CLASS_SCORES, list[ClassRow]),
    "fgsm": dict[str, Amount],
    "pgd": dict[str, Amount],
    "corruption": Damage,
    "outside": OtherImages,
}


class MetricsInfo(TypedDict):
    """Contents of `metrics.json`."""

    data: str
    images: Annotated[int, between(1, 10**9, "whole number")]
    limited: NotRequired[dict[str, Annotated[int, between(1, 10**9, "whole number")]]]
    metrics: dict[str, Any]
    digest: NotRequired[str | None]  # of the data's files


@dataclass(frozen=True)
class MetricsFile:
    """Groups of metrics as `metrics.evaluate` returns them, and the test images that they were evaluated on."""

    data: str
    images: int  # in the full test set
    limited: dict[str, int] = field(default_factory=dict)  # groups evaluated on a subset, and its number of images
    groups: dict[str, Any] = field(default_factory=dict)
    digest: str | None = None  # of the data's files; None for built-in data sets

    def images_of(self, group: str) -> int:
        """Return the number of test images that a group was evaluated on."""
        return self.limited.get(group, self.images)

    def with_group(self, name: str, values: Any, images: int) -> "MetricsFile":
        """Return a copy with a group added or replaced; attacks keep other epsilons on the same images."""
        before = self.groups.get(name)
        if name in ("fgsm", "pgd") and before and self.images_of(name) == images:
            values = before | values
        others = {group: count for group, count in self.limited.items() if group != name}
        limited = others | ({name: images} if images != self.images else {})
        return replace(self, limited=limited, groups=self.groups | {name: values})


def path_of(folder: Path, data: str | None = None) -> Path:
    """Return the path of a run's metrics, for its own test set or for other images."""
    return folder / ("metrics.json" if data is None else f"metrics-{folder_name(data)}.json")


def read(path: Path) -> MetricsFile | None:
    """Read the metrics in a file; None without a file. Raises `UserError` for a damaged one."""
    if not is_file(path):
        return None
    content = read_record(path, MetricsInfo, WAY_OUT)
    for name, group in content["metrics"].items():
        if wrong := next(_mismatches(group, name), None):
            raise UserError(f"{path}: metrics.{wrong}; {WAY_OUT}")
    limited, groups = dict(content.get("limited", {})), dict(content["metrics"])
    return MetricsFile(content["data"], content["images"], limited, groups, content.get("digest"))


def _mismatches(group: object, name: str) -> Iterator[Mismatch]:
    """Yield the parts of a group of numbers that evaluate does not write."""
    yield from mismatches(group, _KINDS.get(name, dict[str, object]), name)
    if name in ("fgsm", "pgd") and isinstance(group, dict):
        for key in group:
            if not re.fullmatch(r"\d+(\.\d+)?/255", key):
                yield Mismatch(name, short_repr(key), "by epsilon, such as 2/255")
    yield from _not_numbers(group, name)


def _not_numbers(value: object, key: str, depth: int = 0) -> Iterator[Mismatch]:
    """Yield values that are not numbers, text, None or containers of these."""
    if isinstance(value, dict | list) and depth < DEEPEST:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, each in items:
            yield from _not_numbers(each, f"{key}.{name}", depth + 1)
    elif not fits(value, Amount | str | None):
        yield Mismatch(key, short_repr(value), "a number, text or null")


def add(path: Path, empty: MetricsFile, name: str, values: Any, images: int) -> None:
    """Add a group, evaluated on `images` test images, to a file; metrics of another test set are removed.

    `empty` describes the test set. The run's lock serializes processes that write to the same file.
    """
    with run_lock(path.parent, wait=lambda holder: None):
        found = (of_same_images(read(path), empty) or empty).with_group(name, values, images)
        limited = {"limited": found.limited} if found.limited else {}
        digest = {"digest": found.digest} if found.digest else {}
        write_json(path, {"data": found.data, "images": found.images, **digest, **limited, "metrics": found.groups})


def of_same_images(found: MetricsFile | None, other: MetricsFile) -> MetricsFile | None:
    """Return the stored metrics if they are of the same test set, or None."""
    if found is None or (found.data, found.images) != (other.data, other.images):
        return None
    return found if found.digest is None or other.digest is None or found.digest == other.digest else None


def flat(groups: Mapping[str, Any]) -> dict[str, float]:
    """Flatten groups to single values by key: "pgd.2/255", "corruption.fog.3", "classes.cat.top1"."""
    return dict(_flat(groups, ""))


def _flat(value: Any, key: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _flat(each, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for number, each in enumerate(value, 1):
            name = each["class"] if isinstance(each, Mapping) else number
            yield from _flat(each, f"{key}.{name}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value

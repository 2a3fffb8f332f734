"""metrics.json: the stored metrics of a run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selfdistill.errors import UserError
from selfdistill.files import folder_name, read_json, write_json
from selfdistill.train.persist.lock import run_lock


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
    """Read the file; None if it does not exist. Raises `UserError` if it is damaged."""
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        data, images, groups = content["data"], int(content["images"]), dict(content["metrics"])
        return MetricsFile(data, images, dict(content.get("limited", {})), groups, content.get("digest"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is not what evaluate writes ({type(error).__name__}: {error}); remove it and evaluate again"
        ) from None


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

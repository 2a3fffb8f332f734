"""What a method may ask of the data beside images and labels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SameClassImage:
    """`extra["peer"]`: for each row another image of its class, augmented apart. [B, 3, H, W]."""

    itself: bool = True  # whether the row's own image may be drawn


@dataclass(frozen=True)
class ExtraAugmentation:
    """`extra["twin"]`, "twin2" …: the same images, augmented `more` times again. [B, 3, H, W] each."""

    more: int = 1

    @property
    def names(self) -> list[str]:
        """What they are called in a batch's extra."""
        return ["twin", *(f"twin{k}" for k in range(2, self.more + 1))]


@dataclass(frozen=True)
class PreviousBatch:
    """`extra["last"]` and `["last_labels"]`: the batch before, augmented once more; at the first step its own."""


@dataclass(frozen=True)
class Negatives:
    """`extra["negatives"]`: for each row indices of images of other classes. [B, count]."""

    count: int


@dataclass(frozen=True)
class ClassGroups:
    """Batches in groups of one class: each row followed by `others` more of its class."""

    others: int


Need = SameClassImage | ExtraAugmentation | PreviousBatch | Negatives | ClassGroups
KEYS: dict[str, tuple[str, ...]] = {  # what a need puts into a batch's extra
    "peer": ("peer",),
    "twin": ("twin",),
    "last": ("last", "last_labels"),
    "negatives": ("negatives",),
    "order": (),
}

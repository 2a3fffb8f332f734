"""Requirements of a method on the data beyond images and labels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SameClassImage:
    """`extra["peer"]`: for each row another image of its class, augmented separately. [B, 3, H, W]."""

    itself: bool = True  # the row's own image may be drawn


@dataclass(frozen=True)
class ExtraAugmentation:
    """`extra["twin"]`, "twin2" …: `more` further augmentations of the same images. [B, 3, H, W] each."""

    more: int = 1

    @property
    def names(self) -> list[str]:
        """Keys in a batch's `extra`."""
        return ["twin", *(f"twin{k}" for k in range(2, self.more + 1))]


@dataclass(frozen=True)
class StrongView:
    """`extra["strong"]`: the same images under a strong augmentation. [B, 3, H, W].

    It is the run's augmentation with a policy: its own, or RandAugment where it has none.
    """


@dataclass(frozen=True)
class PlainView:
    """`extra["plain"]`: the same images as at test, without random augmentation or mixing. [B, 3, H, W]."""


@dataclass(frozen=True)
class PreviousBatch:
    """`extra["last"]` and `["last_labels"]`: the previous batch, augmented again; at the first step the same batch."""


@dataclass(frozen=True)
class Negatives:
    """`extra["negatives"]`: indices of images of other classes, for each row. [B, count]."""

    count: int


@dataclass(frozen=True)
class ClassGroups:
    """Batches in groups of one class: each row followed by `others` more of its class."""

    others: int


Need = SameClassImage | ExtraAugmentation | StrongView | PlainView | PreviousBatch | Negatives | ClassGroups
KEYS: dict[str, tuple[str, ...]] = {  # keys that a requirement adds to a batch's extra
    "peer": ("peer",),
    "twin": ("twin",),
    "strong": ("strong",),
    "plain": ("plain",),
    "last": ("last", "last_labels"),
    "negatives": ("negatives",),
    "order": (),
}


def second_view(name: str) -> dict[str, Need]:
    """Return the requirement of a second view of each image: "twin", or "strong"."""
    return {name: StrongView() if name == "strong" else ExtraAugmentation()}

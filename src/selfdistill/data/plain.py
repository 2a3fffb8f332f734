"""Batches for a training loop of one's own, from any data set of images and labels."""

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from selfdistill.data.stream import stream
from selfdistill.errors import UserError
from selfdistill.mixing import Mixing, mix_batch
from selfdistill.terms import Batch


class Asks(Protocol):
    """Something that says how it wants batches mixed."""

    @property
    def mixing(self) -> Mixing | None:
        """How, or None."""
        ...


def loader(dataset: Any, teach: Asks, batch_size: int, **options: Any) -> "PlainLoader":
    """Batches of a data set as a method needs them, for `teach(batch)`.

    Options: `shuffle`, `drop_last`, `seed`, and those of torch's DataLoader (`num_workers`, `sampler` …).
    """
    return PlainLoader(dataset, teach, batch_size, **options)


class PlainLoader:
    """Batches of a map-style data set whose items are (float image [3, H, W], class id).

    Each pass has a new order. The last short batch is dropped, unless it is the only one.
    """

    def __init__(
        self,
        dataset: Any,
        teach: Asks,
        batch_size: int,
        *,
        shuffle: bool = True,
        drop_last: bool = True,
        seed: int = 0,
        **options: Any,
    ):
        self.mixing, self._draws = teach.mixing, stream(seed, "mix")
        self._loader = DataLoader(
            Indexed(dataset),
            batch_size,
            shuffle=shuffle and "sampler" not in options,
            drop_last=drop_last and len(dataset) >= batch_size,
            generator=stream(seed, "order"),
            **options,
        )

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        for images, labels, index in self._loader:
            batch = Batch(images, labels, index)
            if self.mixing:
                batch = mix_batch(batch, self.mixing.draw(len(index), self._draws), self.mixing.clean)
            yield batch


class Indexed(Dataset):
    """A data set whose items also say which they are; raises `UserError` for items of another kind."""

    def __init__(self, dataset: Any):
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise UserError(f"{type(dataset).__name__} has no length or rows; give a map-style data set")
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: int) -> tuple[Tensor, int, int]:
        image, label = self.dataset[row]
        if not isinstance(image, Tensor) or not image.is_floating_point():
            kind = image.dtype if isinstance(image, Tensor) else type(image).__name__
            raise UserError(
                f"item {row} of the data set holds an image of kind {kind}, but a float tensor [3, H, W] is "
                "needed; convert and normalise it in the data set's transform"
            )
        return image, int(label), row

"""Batches for a training loop of one's own, from any data set of images and labels."""

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Generator
from torch.utils.data import DataLoader, Dataset

from selfdistill.mixing import Mixing, mix_batch
from selfdistill.terms import Batch


class Asks(Protocol):
    """Something that says how it wants batches mixed."""

    @property
    def mixing(self) -> Mixing | None:
        """How, or None."""
        ...


class PlainLoader:
    """Batches of a map-style data set whose items are (image tensor [3, H, W], class id)."""

    def __init__(
        self,
        dataset: Dataset,
        teach: Asks,
        batch_size: int,
        *,
        shuffle: bool = True,
        drop_last: bool = True,
        seed: int = 0,
        **options: Any,
    ):
        self.mixing, self._draws = teach.mixing, Generator().manual_seed(seed)
        order = Generator().manual_seed(seed)
        self._loader = DataLoader(
            Indexed(dataset), batch_size, shuffle=shuffle, drop_last=drop_last, generator=order, **options
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
    """A data set whose items also say which they are."""

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: int) -> tuple[Any, int, int]:
        image, label = self.dataset[row]
        return image, int(label), row


def loader(dataset: Dataset, teach: Asks, batch_size: int, **options: Any) -> PlainLoader:
    """Batches of a data set as a method needs them, for `teach(batch)`.

    Options: `shuffle`, `drop_last`, `seed`, and those of torch's DataLoader (`num_workers` …).
    """
    return PlainLoader(dataset, teach, batch_size, **options)

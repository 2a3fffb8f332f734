"""Batches for a training loop of one's own, from any data set of images and labels."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler, SequentialSampler

from selfdistill.data.batch import Batch
from selfdistill.data.class_index import ClassIndex
from selfdistill.data.mixing import Mixing
from selfdistill.data.requirements import ClassGroups, ExtraAugmentation, Need, Negatives, SameClassImage
from selfdistill.errors import UserError
from selfdistill.rng import make_generator


class LoaderSpec(Protocol):
    """Something that says what batches it wants."""

    @property
    def mixing(self) -> Mixing | None:
        """How they are mixed, or None."""
        ...

    @property
    def needs(self) -> Mapping[str, Need]:
        """What they hold beside images and labels."""
        ...


def loader(dataset: Any, teach: LoaderSpec, batch_size: int, **options: Any) -> "PlainLoader":
    """Batches of a data set as a method needs them, for `teach(batch)`.

    Options: `shuffle`, `drop_last`, `seed`, and those of torch's DataLoader (`num_workers`, `sampler` …).
    """
    return PlainLoader(dataset, teach, batch_size, **options)


class PlainLoader:
    """Batches of a map-style data set whose items are (float image [3, H, W], class id).

    Each pass has a new order. The last short batch is dropped, unless it is the only one. Pairs and groups
    within a class need all labels: the data set's `targets` or `labels`, or else every item is read once.
    """

    def __init__(
        self,
        dataset: Any,
        teach: LoaderSpec,
        batch_size: int,
        *,
        shuffle: bool = True,
        drop_last: bool = True,
        seed: int = 0,
        sampler: Sampler | None = None,
        **options: Any,
    ):
        self.mixing, self.needs, indexed = teach.mixing, teach.needs, Indexed(dataset)
        self._draws = make_generator(seed, "mix")
        rows = sampler or _sampler(dataset, shuffle, seed)
        self._asked = RequestSampler(
            rows, dataset, self.needs, batch_size, drop_last and len(dataset) >= batch_size, seed
        )
        self._loader = DataLoader(indexed, batch_sampler=self._asked, **options)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        for found in self._loader:
            images, labels, index = found.pop("anchor")
            extra = {name: shown[0] for name, shown in found.items()}
            if "last" in found:
                extra["last_labels"] = found["last"][1]
            batch = Batch(images, labels, index, None, extra | self._asked.negatives(index))
            yield self.mixing(batch, self._draws) if self.mixing else batch


class SampleRequest(NamedTuple):
    """A row of a batch, and what is to be shown beside it: rows of the data set by name."""

    row: int
    beside: tuple[tuple[str, int], ...]


class RequestSampler(Sampler[list[SampleRequest]]):
    """Batches of rows with what the method asked for beside each."""

    def __init__(
        self,
        rows: Sampler[int],
        dataset: Any,
        needs: Mapping[str, Need],
        batch_size: int,
        drop_last: bool,
        seed: int,
    ):
        self.needs, self.draws = needs, make_generator(seed, "beside")
        order = needs.get("order")
        self.others = order.others if isinstance(order, ClassGroups) else 0
        if batch_size % (1 + self.others):
            raise UserError(f"groups of {1 + self.others} images do not fill a batch of {batch_size} rows")
        self.batches = BatchSampler(rows, batch_size, drop_last)
        self.classmates = ClassIndex(_labels(dataset)) if needs.keys() & {"peer", "negatives", "order"} else None
        self.last: list[int] = []

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[SampleRequest]]:
        for rows in self.batches:
            rows = self._grouped(rows)
            names = [name for key, need in self.needs.items() for name in _images_asked(key, need)]
            beside = [self._beside(rows, name) for name in names]
            pairs = zip(*beside, strict=True) if beside else [()] * len(rows)
            yield [
                SampleRequest(row, tuple(zip(names, each, strict=True))) for row, each in zip(rows, pairs, strict=True)
            ]
            self.last = rows

    def negatives(self, index: Tensor) -> dict[str, Tensor]:
        """Places of images of other classes, where they are asked for."""
        match self.needs.get("negatives"):
            case Negatives(count) if self.classmates:
                return {"negatives": self.classmates.negatives(index, count, self.draws)}
        return {}

    def _grouped(self, rows: list[int]) -> list[int]:
        """The batch in groups of a class: some of its rows, each followed by others of its class."""
        if not self.others or self.classmates is None:
            return rows
        anchors = torch.tensor(rows[: len(rows) // (1 + self.others)])
        return self.classmates.groups(anchors, self.others, self.draws).flatten().tolist()

    def _beside(self, rows: list[int], name: str) -> Sequence[int]:
        need = self.needs.get(name)
        if isinstance(need, SameClassImage) and self.classmates:
            return self.classmates.peers(torch.tensor(rows), self.draws, need.itself).tolist()
        return self.last if name == "last" and len(self.last) == len(rows) else rows


class Indexed(Dataset):
    """A data set whose items also say which they are, with what was asked for beside them.

    Raises `UserError` for items of another kind.
    """

    def __init__(self, dataset: Any):
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise UserError(f"{type(dataset).__name__} has no length or rows; give a map-style data set")
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, ask: SampleRequest) -> dict[str, tuple[Tensor, int, int]]:
        return {"anchor": self._item(ask.row)} | {name: self._item(row) for name, row in ask.beside}

    def _item(self, row: int) -> tuple[Tensor, int, int]:
        try:
            image, label = self.dataset[row]
        except Exception as error:  # a data set of somebody else's may raise anything
            raise UserError(
                f"item {row} of the data set cannot be read: {type(error).__name__}: {error}; mend or remove it"
            ) from error
        if not isinstance(image, Tensor) or not image.is_floating_point():
            kind = image.dtype if isinstance(image, Tensor) else type(image).__name__
            raise UserError(
                f"item {row} of the data set holds an image of kind {kind}, but a float tensor [3, H, W] is "
                "needed; convert and normalise it in the data set's transform"
            )
        return image, int(label), row


def _images_asked(key: str, need: Need) -> list[str]:
    """The images that a need puts beside each row, by name."""
    if isinstance(need, ExtraAugmentation):
        return need.names
    return [key] if key in ("peer", "last") else []


def _sampler(dataset: Any, shuffle: bool, seed: int) -> Sampler[int]:
    return RandomSampler(dataset, generator=make_generator(seed, "order")) if shuffle else SequentialSampler(dataset)


def _labels(dataset: Any) -> Tensor:
    """The label of every item. -> [N]."""
    known = getattr(dataset, "targets", getattr(dataset, "labels", None))
    if known is not None and len(known) == len(dataset):
        return torch.as_tensor(known)
    return torch.tensor([int(dataset[row][1]) for row in range(len(dataset))])

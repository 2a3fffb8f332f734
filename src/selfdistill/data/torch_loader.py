"""Loader for a custom training loop: batches of any map-style data set with what a method requires."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.context import BaseContext
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

Item = tuple[Tensor, int, int]  # image [3, H, W], class id, row


class MapDataset(Protocol):
    """A map-style data set of (float image [3, H, W], class id)."""

    def __len__(self) -> int:
        """Number of items."""
        ...

    def __getitem__(self, row: int, /) -> Any:
        """Return the item of a row."""
        ...


class LoaderSpec(Protocol):
    """A method's requirements on batches, as `teach(…)` has them."""

    @property
    def mixing(self) -> Mixing | None:
        """Mixing of images (mixup, CutMix), or None."""
        ...

    @property
    def needs(self) -> Mapping[str, Need]:
        """Requirements beyond images and labels."""
        ...


def loader(
    dataset: MapDataset,
    spec: LoaderSpec,
    batch_size: int,
    *,
    shuffle: bool = True,
    drop_last: bool = True,
    seed: int = 0,
    sampler: Sampler[int] | None = None,
    num_workers: int = 0,
    pin_memory: bool = False,
    timeout: float = 0,
    worker_init_fn: Callable[[int], None] | None = None,
    multiprocessing_context: BaseContext | str | None = None,
    generator: torch.Generator | None = None,
    prefetch_factor: int | None = None,
    persistent_workers: bool = False,
) -> "MethodLoader":
    """Load batches of a data set as a method needs them, for `teach(batch)`.

    `spec` is what `teach(…)` returned. `seed` draws the order, the mixing and the extra images; from `num_workers`
    on, the options are those of torch's DataLoader. Raises `UserError` for a data set without rows or length.

    >>> from types import SimpleNamespace
    >>> images = [(torch.zeros(3, 8, 8), label) for label in range(10)]
    >>> [tuple(batch.images.shape) for batch in loader(images, SimpleNamespace(mixing=None, needs={}), 4)]
    [(4, 3, 8, 8), (4, 3, 8, 8)]
    """
    items = IndexedDataset(dataset)
    rows = sampler or _sampler(dataset, shuffle, seed)
    requests = RequestSampler(rows, dataset, spec.needs, batch_size, drop_last and len(dataset) >= batch_size, seed)
    collated: DataLoader[dict[str, Item]] = DataLoader(
        items,
        batch_sampler=requests,
        num_workers=num_workers,
        pin_memory=pin_memory,
        timeout=timeout,
        worker_init_fn=worker_init_fn,
        multiprocessing_context=multiprocessing_context,
        generator=generator,
        prefetch_factor=prefetch_factor,
        persistent_workers=persistent_workers,
    )
    return MethodLoader(collated, requests, spec.mixing, seed)


class MethodLoader:
    """Batches of a map-style data set whose items are (float image [3, H, W], class id).

    Each epoch has a new order. The last incomplete batch is dropped, unless it is the only one. Pairs and groups
    within a class need all labels: the data set's `targets` or `labels`; otherwise every item is read once.
    """

    def __init__(
        self, collated: DataLoader[dict[str, Item]], requests: "RequestSampler", mixing: Mixing | None, seed: int
    ):
        self.mixing, self._draws = mixing, make_generator(seed, "mix")
        self._collated, self._requests = collated, requests

    def __len__(self) -> int:
        return len(self._collated)

    def __iter__(self) -> Iterator[Batch]:
        for items in self._collated:
            images, labels, index = items.pop("anchor")
            extra = {name: each[0] for name, each in items.items()}
            if "last" in items:
                extra["last_labels"] = items["last"][1]
            batch = Batch(images, labels, index, None, extra | self._requests.negatives(index))
            yield self.mixing(batch, self._draws) if self.mixing else batch


class SampleRequest(NamedTuple):
    """A row of a batch, and the rows of its extra images by name."""

    row: int
    extra: tuple[tuple[str, int], ...]


class RequestSampler(Sampler[list[SampleRequest]]):
    """Batch sampler that adds the rows of the extra images that a method requires."""

    def __init__(
        self,
        rows: Sampler[int],
        dataset: MapDataset,
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
        self.class_index = ClassIndex(_labels(dataset)) if needs.keys() & {"peer", "negatives", "order"} else None
        self.last: list[int] = []

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[SampleRequest]]:
        for rows in self.batches:
            rows = self._group(rows)
            names = [name for key, need in self.needs.items() for name in _extra_images(key, need)]
            extra = [self._extra_rows(rows, name) for name in names]
            pairs = zip(*extra, strict=True) if extra else [()] * len(rows)
            yield [
                SampleRequest(row, tuple(zip(names, each, strict=True))) for row, each in zip(rows, pairs, strict=True)
            ]
            self.last = rows

    def negatives(self, index: Tensor) -> dict[str, Tensor]:
        """Draw indices of images of other classes, if the method requires them. [B] -> [B, count]."""
        match self.needs.get("negatives"):
            case Negatives(count) if self.class_index:
                return {"negatives": self.class_index.negatives(index, count, self.draws)}
        return {}

    def _group(self, rows: list[int]) -> list[int]:
        """Replace the batch by groups: some of its rows, each followed by others of its class."""
        if not self.others or self.class_index is None:
            return rows
        anchors = torch.tensor(rows[: len(rows) // (1 + self.others)])
        grouped: list[int] = self.class_index.groups(anchors, self.others, self.draws).flatten().tolist()
        return grouped

    def _extra_rows(self, rows: list[int], name: str) -> Sequence[int]:
        need = self.needs.get(name)
        if isinstance(need, SameClassImage) and self.class_index:
            peers: list[int] = self.class_index.same_class(torch.tensor(rows), self.draws, need.itself).tolist()
            return peers
        return self.last if name == "last" and len(self.last) == len(rows) else rows


class IndexedDataset(Dataset[dict[str, Item]]):
    """A data set indexed by sample requests; its items hold their row and the extra images.

    Raises `UserError` for items of another kind.
    """

    def __init__(self, dataset: MapDataset):
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise UserError(f"{type(dataset).__name__} has no length or rows; give a map-style data set")
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, request: SampleRequest) -> dict[str, Item]:
        return {"anchor": self._item(request.row)} | {name: self._item(row) for name, row in request.extra}

    def _item(self, row: int) -> Item:
        try:
            image, label = self.dataset[row]
        except Exception as error:  # a user's data set may raise anything
            raise UserError(
                f"item {row} of the data set cannot be read: {type(error).__name__}: {error}; repair or remove it"
            ) from error
        if not isinstance(image, Tensor) or not image.is_floating_point():
            kind = image.dtype if isinstance(image, Tensor) else type(image).__name__
            raise UserError(
                f"item {row} of the data set holds an image of kind {kind}, but a float tensor [3, H, W] is "
                "needed; convert and normalize it in the data set's transform"
            )
        return image, int(label), row


def _extra_images(key: str, need: Need) -> list[str]:
    """Names of the extra images that a requirement adds to each row."""
    if isinstance(need, ExtraAugmentation):
        return need.names
    return [key] if key in ("peer", "last") else []


def _sampler(dataset: MapDataset, shuffle: bool, seed: int) -> Sampler[int]:
    return RandomSampler(dataset, generator=make_generator(seed, "order")) if shuffle else SequentialSampler(dataset)


def _labels(dataset: MapDataset) -> Tensor:
    """Labels of all items. -> [N]."""
    known = getattr(dataset, "targets", getattr(dataset, "labels", None))
    if known is not None and len(known) == len(dataset):
        return torch.as_tensor(known)
    return torch.tensor([int(dataset[row][1]) for row in range(len(dataset))])

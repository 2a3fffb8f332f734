"""Loader for a custom training loop: batches of any map-style data set with what a method requires."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.context import BaseContext
from types import MappingProxyType
from typing import NamedTuple, Protocol, SupportsIndex

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler, SequentialSampler

from selfdistill.data.batch import Batch
from selfdistill.data.cell_exchange import CellExchange
from selfdistill.data.class_index import ClassIndex
from selfdistill.data.map_dataset import MapDataset, labels_of, read_item
from selfdistill.data.mixing import Mixing
from selfdistill.data.requirements import ClassGroups, ExtraAugmentation, Need, Negatives, SameClassImage
from selfdistill.errors import UserError
from selfdistill.rng import make_generator

Item = tuple[Tensor, int, int]  # image [3, H, W], class id, row
VIEWS = {"strong": "a strong augmentation of each image", "plain": "each image without random augmentation"}


class LoaderSpec(Protocol):
    """A method's requirements on batches, as `teach(…)` has them."""

    @property
    def mixing(self) -> Mixing | CellExchange | None:
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
    views: Mapping[str, MapDataset] | None = None,
) -> "MethodLoader":
    """Load batches of a data set as a method needs them, for `teach(batch)`.

    `spec` is what `teach(…)` returned. `seed` draws the order, the mixing and the extra images; from `num_workers`
    on, the options are those of torch's DataLoader. A sampler gives rows, at least one. `views` are the same images in
    the same order with other transforms, for methods that read a strong view ("strong") or one without random
    augmentation ("plain"). Raises `UserError` for a missing view, for a data set without rows or length, and for items
    of another kind or label than the data set's `targets`, or of another label in a view.

    >>> from types import SimpleNamespace
    >>> images = [(torch.zeros(3, 8, 8), label) for label in range(10)]
    >>> [tuple(batch.inputs.shape) for batch in loader(images, SimpleNamespace(mixing=None, needs={}), 4)]
    [(4, 3, 8, 8), (4, 3, 8, 8)]
    """
    items = IndexedDataset(dataset, views or {})
    _require_views(spec.needs, items)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise UserError(f"a batch needs 1 row or more, but batch_size is {batch_size}")
    rows = _sampler(dataset, shuffle, seed) if sampler is None else sampler
    requests = RequestSampler(rows, dataset, spec.needs, batch_size, drop_last, seed)
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
    within a class need all labels: the data set's `targets` or `labels`; otherwise every item is read once. Raises
    `UserError` where an item's label is another.
    """

    def __init__(
        self,
        collated: DataLoader[dict[str, Item]],
        requests: "RequestSampler",
        mixing: Mixing | CellExchange | None,
        seed: int,
    ):
        self.mixing, self._draws = mixing, make_generator(seed, "mix")
        self._collated, self._requests = collated, requests

    def __len__(self) -> int:
        return len(self._collated)

    def __iter__(self) -> Iterator[Batch]:
        for items in self._collated:
            for _, labels, rows in items.values():
                self._requests.require_labels(rows, labels)
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
        self.needs, self.draws, self.drop_last = needs, make_generator(seed, "beside"), drop_last
        order = needs.get("order")
        self.others = order.others if isinstance(order, ClassGroups) else 0
        if batch_size % (1 + self.others):
            raise UserError(f"groups of {1 + self.others} images do not fill a batch of {batch_size} rows")
        self.batches = BatchSampler(rows, batch_size, drop_last=False)
        self.labels = labels_of(dataset) if needs.keys() & {"peer", "negatives", "order"} else None
        self.class_index = None if self.labels is None else ClassIndex(self.labels)
        self.last: list[int] = []

    def __len__(self) -> int:
        return max(len(BatchSampler(self.batches.sampler, self.batches.batch_size, self.drop_last)), 1)

    def __iter__(self) -> Iterator[list[SampleRequest]]:
        for each in self._batches():
            rows = self._group(each)
            names = [name for key, need in self.needs.items() for name in _extra_images(key, need)]
            extra = [self._extra_rows(rows, name) for name in names]
            pairs = zip(*extra, strict=True) if extra else [()] * len(rows)
            yield [
                SampleRequest(row, tuple(zip(names, each, strict=True))) for row, each in zip(rows, pairs, strict=True)
            ]
            self.last = rows

    def require_labels(self, rows: Tensor, labels: Tensor) -> None:
        """Raise `UserError` for items of another label than that by which rows were drawn. [B], [B]."""
        if self.labels is None or torch.equal(self.labels[rows], labels.cpu()):
            return
        first = int((self.labels[rows] != labels.cpu()).nonzero()[0])
        raise UserError(
            f"item {int(rows[first])} of the data set has the label {int(labels[first])}, but pairs within a class are "
            f"drawn by {int(self.labels[rows[first]])}, which its `targets` or `labels` (or the item itself, read "
            "before) say; set them to the labels of the items, or remove them, so that they are read from the items"
        )

    def negatives(self, index: Tensor) -> dict[str, Tensor]:
        """Draw indices of images of other classes, if the method requires them. [B] -> [B, count]."""
        match self.needs.get("negatives"):
            case Negatives(count) if self.class_index:
                return {"negatives": self.class_index.negatives(index, count, self.draws)}
        return {}

    def _batches(self) -> Iterator[list[int]]:
        """Yield the sampler's batches without a last short one, unless it is the only one."""
        place = -1
        for place, rows in enumerate(self.batches):
            if place == 0 or not self.drop_last or len(rows) == self.batches.batch_size:
                yield [_row(each) for each in rows]
        if place < 0:
            raise UserError(
                "the sampler returns no rows, so an epoch would train nothing; pass a sampler with at least one row"
            )

    def _group(self, rows: list[int]) -> list[int]:
        """Replace the batch by groups: some of its rows, each followed by others of its class."""
        if not self.others or self.class_index is None:
            return rows
        anchors = torch.tensor(rows[: max(len(rows) // (1 + self.others), 1)])
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

    def __init__(self, dataset: MapDataset, views: Mapping[str, MapDataset] = MappingProxyType({})):
        for each in (dataset, *views.values()):
            _require_items(each)
        self.dataset, self.views = dataset, views

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, request: SampleRequest) -> dict[str, Item]:
        anchor = self._item(request.row)
        return {"anchor": anchor} | {name: self._extra(name, row, anchor) for name, row in request.extra}

    def _item(self, row: int) -> Item:
        image, label = read_item(self.dataset, row)
        return image, label, row

    def _extra(self, name: str, row: int, anchor: Item) -> Item:
        if name not in self.views:
            return self._item(row)
        image, label = read_item(self.views[name], row)
        if label != anchor[1]:
            raise UserError(
                f"item {row} has the label {anchor[1]} in the data set, but {label} in views[{name!r}]; pass the same "
                "images in the same order, with another transform"
            )
        return image, label, row


def _require_items(dataset: MapDataset) -> None:
    """Raise `UserError` for a data set without length or rows, or without items."""
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        raise UserError(f"{type(dataset).__name__} has no length or rows; pass a map-style data set")
    if len(dataset) == 0:
        raise UserError(f"{type(dataset).__name__} has no items; pass a data set with at least one")


def _extra_images(key: str, need: Need) -> list[str]:
    """Names of the extra images that a requirement adds to each row."""
    if isinstance(need, ExtraAugmentation):
        return need.names
    return [key] if key in ("peer", "last", *VIEWS) else []


def _require_views(needs: Mapping[str, Need], items: IndexedDataset) -> None:
    """Raise `UserError` for a view that a method reads and nobody gives, an unknown one, and one of another length."""
    if missing := sorted(needs.keys() & VIEWS.keys() - items.views.keys()):
        raise UserError(
            f"the method reads `{missing[0]}`, {VIEWS[missing[0]]}, which a data set with one transform does not give; "
            f"pass sd.loader(…, views={{{missing[0]!r}: the same data set with that transform}})"
        )
    for name, view in items.views.items():
        if name not in VIEWS:
            raise UserError(f"a view is one of {', '.join(VIEWS)}, but views has {name!r}")
        if len(view) != len(items):
            raise UserError(
                f"views[{name!r}] has {len(view)} items and the data set {len(items)}; pass the same images in the "
                "same order"
            )


def _sampler(dataset: MapDataset, shuffle: bool, seed: int) -> Sampler[int]:
    return RandomSampler(dataset, generator=make_generator(seed, "order")) if shuffle else SequentialSampler(dataset)


def _row(value: SupportsIndex) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise UserError(
            f"the sampler gives {value!r:.40}, a {type(value).__name__}, but a whole number for each row is needed; "
            "batches are made by batch_size"
        ) from None

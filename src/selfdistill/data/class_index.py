"""Index of rows by class, for drawing positive pairs, groups and negatives."""

import torch
from torch import Generator, Tensor

from selfdistill.errors import UserError


class ClassIndex:
    """The rows of a data set by class. labels [N]. Raises `UserError` for tags [N, T]."""

    def __init__(self, labels: Tensor):
        if labels.dim() != 1:
            raise UserError(
                "the method pairs images of one class, but these images have several tags; use a method that reads one "
                "image at a time, such as drg(), kd() or dsr()"
            )
        self.classes, self.labels = _places(labels.cpu())
        self.by_class = self.labels.argsort(stable=True)  # [N] rows sorted by class
        self.counts = torch.bincount(self.labels)
        self.starts = self.counts.cumsum(0) - self.counts
        self.place = torch.empty_like(self.by_class)  # [N] position of a row within its class
        self.place[self.by_class] = torch.arange(len(labels)) - self.starts[self.labels[self.by_class]]

    def same_class(self, rows: Tensor, generator: Generator, include_self: bool = True) -> Tensor:
        """Draw one row of the same class for each row, uniformly, with or without the row itself. [B] -> [B]."""
        counts = self.counts[self.labels[rows]]
        if include_self:
            return self._at(rows, (torch.rand(len(rows), generator=generator) * counts).long())
        self._require_class_size(2)
        steps = 1 + (torch.rand(len(rows), generator=generator) * (counts - 1)).long()
        return self._at(rows, self.place[rows] + steps)

    def groups(self, rows: Tensor, others: int, generator: Generator) -> Tensor:
        """Follow each row by `others` more of its class, distinct where the class allows. [B] -> [B, 1 + others].

        Robert Floyd's sampling without replacement, for all rows at once.
        """
        self._require_class_size(2)
        counts = self.counts[self.labels[rows]]
        steps: list[Tensor] = []
        for k in range(others):
            largest = (counts - others + k).clamp(min=1)  # of the steps 1 … count - 1
            drawn = 1 + (torch.rand(len(rows), generator=generator) * largest).long()
            taken = (
                torch.stack([drawn == each for each in steps]).any(dim=0) if steps else torch.zeros_like(drawn).bool()
            )
            steps.append(torch.where(taken, largest, drawn))
        return torch.stack([rows, *(self._at(rows, self.place[rows] + each) for each in steps)], dim=1)

    def balanced(self, count: int, generator: Generator) -> Tensor:
        """Draw rows with every class equally often, within one row, in a random order. -> [count].

        A class of fewer rows repeats them, each equally often within one; one of more rows gives a part of them.
        """
        ranks = torch.randperm(len(self.classes), generator=generator)  # the first classes give a row more
        quotas = count // len(self.classes) + (ranks < count % len(self.classes))
        rows = torch.cat([self._cycled(place, each, generator) for place, each in enumerate(quotas.tolist())])
        return rows[torch.randperm(count, generator=generator)]

    def _cycled(self, place: int, count: int, generator: Generator) -> Tensor:
        """Draw rows of a class in rounds, each with all of its rows in another order. -> [count]."""
        own = self.by_class[int(self.starts[place]) :][: int(self.counts[place])]
        rounds = max(-(-count // len(own)), 1)
        return torch.cat([own[torch.randperm(len(own), generator=generator)] for _ in range(rounds)])[:count]

    def negatives(self, rows: Tensor, count: int, generator: Generator) -> Tensor:
        """Draw `count` rows of other classes for each row, distinct where possible. [B] -> [B, count]."""
        if len(self.classes) < 2:
            raise UserError("the method needs images of other classes, but the data has one class; add another")
        return torch.stack([self._other_classes(int(label), count, generator) for label in self.labels[rows]])

    def _other_classes(self, label: int, count: int, generator: Generator) -> Tensor:
        there = len(self.labels) - int(self.counts[label])
        if count <= there:
            drawn = torch.randperm(there, generator=generator)[:count]
        else:
            drawn = torch.randint(there, (count,), generator=generator)
        start, own = int(self.starts[label]), int(self.counts[label])
        return self.by_class[torch.where(drawn < start, drawn, drawn + own)]  # skips the class

    def _at(self, rows: Tensor, places: Tensor) -> Tensor:
        labels = self.labels[rows]
        return self.by_class[self.starts[labels] + places % self.counts[labels]]

    def _require_class_size(self, count: int) -> None:
        """Raise `UserError` for a class with fewer images than `count`."""
        few = (self.counts < count).nonzero().flatten().tolist()
        if few:
            raise UserError(
                f"class {int(self.classes[few[0]])} has {int(self.counts[few[0]])} training image, and pairs within a "
                f"class need {count}; add images, remove the class, or raise --limit"
            )


def _places(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Class ids in order, and for each label its place among them. [N] -> [K], [N]."""
    found: tuple[Tensor, Tensor] = labels.unique(return_inverse=True)
    return found

"""Self-supervised label augmentation (https://arxiv.org/abs/1910.05872)."""

from typing import Literal

import torch
from torch import nn

from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.recipe import recipe
from selfdistill.terms import Seen, Term, View, label_loss

Transform = Literal["rotation", "half turn", "color", "cyclic color"]


def quarter(images):
    """Images turned by 90 degrees. [B, 3, H, H] -> [B, 3, H, H]."""
    return _square(images).rot90(1, (2, 3))


def half(images):
    """Images turned by 180 degrees. [B, 3, H, W] -> [B, 3, H, W]."""
    return images.rot90(2, (2, 3))


def three_quarters(images):
    """Images turned by 270 degrees. [B, 3, H, H] -> [B, 3, H, H]."""
    return _square(images).rot90(3, (2, 3))


def rbg(images):
    """Red, blue, green."""
    return images[:, [0, 2, 1]]


def grb(images):
    """Green, red, blue."""
    return images[:, [1, 0, 2]]


def gbr(images):
    """Green, blue, red."""
    return images[:, [1, 2, 0]]


def brg(images):
    """Blue, red, green."""
    return images[:, [2, 0, 1]]


def bgr(images):
    """Blue, green, red."""
    return images[:, [2, 1, 0]]


def _square(images):
    height, width = images.shape[2:]
    if height != width:
        raise UserError(f"images of {height}x{width} cannot be turned by a quarter; pass transform='half turn'")
    return images


TRANSFORMS = {
    "rotation": (quarter, half, three_quarters),
    "half turn": (half,),
    "color": (rbg, grb, gbr, brg, bgr),
    "cyclic color": (gbr, brg),
}


class Augmented(Term):
    """Classes times transformations are told apart by one joint head, y · M + j for the j-th of M."""

    reads: tuple[str, ...] = ("embedding",)
    learns = True
    bias = True

    def __init__(self, transform: str):
        super().__init__()
        makes = TRANSFORMS[transform]
        self.views = tuple(View(make.__name__, grad=True, make=make, joint=True) for make in makes)
        self.count = 1 + len(makes)

    def build(self, parts):
        """Make the joint head of C · M outputs."""
        self.joint = nn.Linear(parts.shapes["embedding"][-1], parts.classes * self.count, bias=self.bias)

    def joined(self, seen: Seen):
        """Give the joint head's logits of each transformation. -> M of [B, C · M]."""
        shown = [seen.embedding, *(seen.views[view.name].embedding for view in self.views)]
        return [self.joint(each) for each in shown]

    def told_apart(self, joined, batch):
        """Mean cross-entropy of all transformations with their joint labels. -> []."""
        labels = batch.labels * self.count
        each = [label_loss(logits, batch._replace(labels=labels + j)) for j, logits in enumerate(joined)]
        return torch.stack(each).mean()


class JointLabels(Augmented):
    """The joint head is the task, and its untransformed part becomes the student's classifier."""

    reads = ("embedding", "directions")
    bias = False  # so that it folds into classifiers without one

    def loss(self, seen: Seen):
        """CE of all transformations; the student's own classifier waits, with a gradient of zeros."""
        return self.told_apart(self.joined(seen), seen.batch) + 0 * seen.logits.sum()

    @torch.no_grad()
    def finish(self, student: nn.Module, classifier: str):
        """Fold the outputs for untransformed images into the classifier, whose bias becomes zero."""
        own = student.get_submodule(classifier)
        weight = own.get_parameter("weight")
        weight.copy_(self.joint.weight[:: self.count].view_as(weight))
        if own.bias is not None:
            own.get_parameter("bias").zero_()


@recipe
def sla(transform: Transform = "rotation") -> Method:
    """A head of classes times rotations is trained; the student is deployed with its unrotated part."""
    return Method(task=JointLabels(transform))

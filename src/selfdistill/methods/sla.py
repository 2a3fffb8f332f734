"""Self-supervised label augmentation (https://arxiv.org/abs/1910.05872)."""

import torch
from torch import nn

from selfdistill.method import Method
from selfdistill.method.constructor import recipe
from selfdistill.terms import Seen, Term, label_loss
from selfdistill.terms.branches import fold
from selfdistill.terms.transforms import Transform, shown


class Augmented(Term):
    """Classes times transformations are told apart by one joint head, y · M + j for the j-th of M."""

    reads: tuple[str, ...] = ("embedding",)
    learns = True
    bias = True

    def __init__(self, transform: str):
        super().__init__()
        self.views = shown(transform)
        self.count = 1 + len(self.views)

    def build(self, parts):
        """Make the joint head of C · M outputs."""
        self.joint = nn.Linear(parts.shapes["embedding"][-1], parts.classes * self.count, bias=self.bias)

    def joined(self, seen: Seen):
        """Give the joint head's logits of each transformation. -> M of [B, C · M]."""
        embeddings = [seen.embedding, *(seen.views[view.name].embedding for view in self.views)]
        return [self.joint(each) for each in embeddings]

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

    def finish(self, student: nn.Module, classifier: str):
        """Fold the outputs for untransformed images into the classifier, whose bias becomes zero."""
        fold(student, classifier, lambda _: self.joint.weight[:: self.count])


@recipe
def sla(transform: Transform = "rotation") -> Method:
    """A head of classes times rotations is trained; the student is deployed with its unrotated part."""
    return Method(task=JointLabels(transform))

"""Self-supervised label augmentation (https://arxiv.org/abs/1910.05872)."""

import torch
from torch import nn

from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor
from selfdistill.terms import LossTerm, StepContext, label_loss
from selfdistill.terms.branches import merge_into_classifier
from selfdistill.terms.transforms import Transform, shown


class Augmented(LossTerm):
    """Classes times transformations are told apart by one joint head, y · M + j for the j-th of M."""

    requires: tuple[str, ...] = ("embedding",)
    uses_labels = True
    bias = True

    def __init__(self, transform: str):
        super().__init__()
        self.views = shown(transform)
        self.count = 1 + len(self.views)

    def build(self, context):
        """Make the joint head of C · M outputs."""
        self.joint = nn.Linear(context.shapes["embedding"][-1], context.classes * self.count, bias=self.bias)

    def joined(self, context: StepContext):
        """Give the joint head's logits of each transformation. -> M of [B, C · M]."""
        embeddings = [context.embedding, *(context.views[view.name].embedding for view in self.views)]
        return [self.joint(each) for each in embeddings]

    def told_apart(self, joined, batch):
        """Mean cross-entropy of all transformations with their joint labels. -> []."""
        labels = batch.labels * self.count
        each = [label_loss(logits, batch._replace(labels=labels + j)) for j, logits in enumerate(joined)]
        return torch.stack(each).mean()


class JointLabels(Augmented):
    """The joint head is the task, and its untransformed part becomes the student's classifier."""

    requires = ("embedding", "directions")
    bias = False  # so that it folds into classifiers without one

    def loss(self, context: StepContext):
        """CE of all transformations; the student's own classifier waits, with a gradient of zeros."""
        return self.told_apart(self.joined(context), context.batch) + 0 * context.logits.sum()

    def finish(self, student: nn.Module, classifier: str):
        """Fold the outputs for untransformed images into the classifier, whose bias becomes zero."""
        merge_into_classifier(student, classifier, lambda _: self.joint.weight[:: self.count])


@method_constructor
def sla(transform: Transform = "rotation") -> Method:
    """A head of classes times rotations is trained; the student is deployed with its unrotated part."""
    return Method(task=JointLabels(transform))

"""Self-supervised label augmentation (https://arxiv.org/abs/1910.05872)."""

from torch import Tensor, nn

from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor
from selfdistill.terms import BuildContext, LossTerm, LossValue, Requirement, StepContext
from selfdistill.terms.branches import merge_into_classifier
from selfdistill.terms.transforms import Transform, joint_label_loss, transformed_passes


class AugmentedLabels(LossTerm):
    """A joint head over classes times M transformations; the label of the j-th is y · M + j."""

    requires: tuple[Requirement, ...] = ("embedding",)
    uses_labels = True
    bias = True
    supports_tags = False  # the joint classes are one per image

    def __init__(self, transform: str):
        super().__init__()
        self.views = transformed_passes(transform)
        self.count = 1 + len(self.views)

    def build(self, context: BuildContext) -> None:
        """Make the joint head of C · M outputs."""
        self.joint = nn.Linear(context.shapes["embedding"][-1], context.classes * self.count, bias=self.bias)

    def joint_logits(self, context: StepContext) -> list[Tensor]:
        """Return the joint head's logits of each transformation. -> M of [B, C · M]."""
        embeddings = [context.embedding, *(context.views[view.name].embedding for view in self.views)]
        return [self.joint(each) for each in embeddings]


class JointLabels(AugmentedLabels):
    """The joint head is the task, and its untransformed part becomes the student's classifier."""

    requires = ("embedding", "classifier_weight")
    writes_weight = True
    bias = False  # so that it merges into classifiers without one

    def loss(self, context: StepContext) -> LossValue:
        """Compute CE of all transformations; the student's own classifier gets a gradient of zeros."""
        return joint_label_loss(self.joint_logits(context), context.batch) + 0 * context.logits.sum()

    def finish(self, student: nn.Module, classifier: str) -> None:
        """Merge the outputs for untransformed images into the classifier, and zero its bias."""
        merge_into_classifier(student, classifier, lambda _: self.joint.weight[:: self.count])


@method_constructor
def sla(transform: Transform = "rotation") -> Method:
    """A joint classifier of labels and transformations; its untransformed part is exported (Lee et al., 2020).

    >>> from selfdistill.methods import sla
    >>> print(sla(transform="color").text)
    sla(transform='color')
    """
    return Method(task=JointLabels(transform))

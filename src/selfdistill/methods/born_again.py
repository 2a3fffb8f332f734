"""Born-Again Neural Networks (https://arxiv.org/abs/1805.04770)."""

from selfdistill.functional import kl_divergence
from selfdistill.method import Method
from selfdistill.method.constructor import Count, method_constructor
from selfdistill.method.networks import Teacher
from selfdistill.terms import ForwardPass, LossTerm, StepContext


class Parent(LossTerm):
    """The generation before, of the same architecture, teaches."""

    views = (ForwardPass("teacher", grad=False, network="teacher"),)

    def loss(self, context: StepContext):
        """KL(parent || student) at a temperature of 1."""
        return kl_divergence(context.logits, context.views["teacher"].logits)


@method_constructor
def born_again(generations: Count = 1) -> Method:
    """Cross-entropy and the predictions of a parent, itself born again of one fewer generations."""
    taught_by = f"born_again(generations={generations - 1})" if generations > 1 else "ce()"
    return Method({"parent": Parent()}, networks={"teacher": Teacher(taught_by=taught_by)})

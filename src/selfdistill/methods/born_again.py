"""Born-Again Neural Networks (https://arxiv.org/abs/1805.04770)."""

from selfdistill.functional import kl_divergence
from selfdistill.method import Method
from selfdistill.method.constructor import Generations, method_constructor
from selfdistill.method.networks import Teacher
from selfdistill.terms import ForwardPass, LossTerm, LossValue, StepContext


class PreviousGeneration(LossTerm):
    """KL to the predictions of the previous generation, a network of the same architecture."""

    views = (ForwardPass("teacher", grad=False, network="teacher"),)

    def loss(self, context: StepContext) -> LossValue:
        """Compute KL(parent || student) at a temperature of 1."""
        return kl_divergence(context.logits, context.views["teacher"].logits)


@method_constructor
def born_again(generations: Generations = 1) -> Method:
    """Cross-entropy plus KL to the previous generation of the network (Furlanello et al., 2018, arXiv:1805.04770).

    The parent is trained with `born_again` of one generation fewer, the first with `ce`.

    >>> from selfdistill.methods import born_again
    >>> print(born_again(generations=2).networks["teacher"].taught_by)
    born_again(generations=1)
    """
    taught_by = f"born_again(generations={generations - 1})" if generations > 1 else "ce()"
    return Method({"parent": PreviousGeneration()}, networks={"teacher": Teacher(taught_by=taught_by)})

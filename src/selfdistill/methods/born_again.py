"""Born-Again Neural Networks (https://arxiv.org/abs/1805.04770)."""

from selfdistill.functional import kl
from selfdistill.method import Method
from selfdistill.method.constructor import Count, recipe
from selfdistill.method.networks import Teacher
from selfdistill.terms import Seen, Term, View


class Parent(Term):
    """The generation before, of the same architecture, teaches."""

    views = (View("teacher", grad=False, network="teacher"),)

    def loss(self, seen: Seen):
        """KL(parent || student) at a temperature of 1."""
        return kl(seen.logits, seen.views["teacher"].logits)


@recipe
def born_again(generations: Count = 1) -> Method:
    """Cross-entropy and the predictions of a parent, itself born again of one fewer generations."""
    taught_by = f"born_again(generations={generations - 1})" if generations > 1 else "ce()"
    return Method({"parent": Parent()}, networks={"teacher": Teacher(taught_by=taught_by)})

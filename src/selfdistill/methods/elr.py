"""Early-Learning Regularization Prevents Memorization of Noisy Labels (https://arxiv.org/abs/2007.00151)."""

from selfdistill.functional import clipped_probabilities, early_learning_loss
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Part, method_constructor
from selfdistill.terms import LossTerm, LossValue, Memory, StepContext, TrainingInfo, tables


class EarlyLearning(LossTerm):
    """Predictions stay close to their own running mean, which a wrong label has not reached yet."""

    supports_mixup = False
    supports_tags = False  # the table has a row for each image
    uses_index = True
    memory_scope = "run"  # running mean of the predictions for every training image [N, C]

    def __init__(self, momentum: float, weight: float):
        super().__init__()
        self.momentum, self.weight = momentum, weight

    def start(self, info: TrainingInfo) -> Memory:
        """Start with a table of zeros."""
        return tables.start_table(info, info.classes)

    def forward(self, context: StepContext) -> tuple[LossValue, Memory]:
        """Update the running means first, then compute the mean of log(1 - <t, p>)."""
        own = clipped_probabilities(context.logits)
        new = own.detach() / own.detach().sum(dim=1, keepdim=True)
        old = tables.read_rows(context.memory, context.index, context.logits)
        mean = self.momentum * old + (1 - self.momentum) * new
        return early_learning_loss(own, mean), tables.update_rows(context.memory, context.index, mean)


@method_constructor
def elr(weight: NonNegative = 7.0, momentum: Part = 0.9) -> Method:
    """Predictions held at their running mean, against wrong labels (Liu et al., 2020, arXiv:2007.00151).

    The defaults are those of CIFAR-100; CIFAR-10 has a weight of 3 and a momentum of 0.7.

    >>> from selfdistill.methods import elr
    >>> print(elr(weight=3.0, momentum=0.7).text)
    elr(weight=3.0, momentum=0.7)
    """
    return Method({"early": EarlyLearning(momentum, weight)})

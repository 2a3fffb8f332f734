"""Peer Collaborative Learning for Online Knowledge Distillation (https://arxiv.org/abs/2006.04147)."""

from torch import Tensor

from selfdistill.data.requirements import ExtraAugmentation
from selfdistill.functional import ensemble_kl, sum_tensors
from selfdistill.heads import EMAHeads, JoinedEmbeddings
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Peers, Positive, Share, method_constructor
from selfdistill.method.networks import EMATeacher
from selfdistill.terms import BuildContext, ForwardPass, StepContext
from selfdistill.terms.branches import BranchTerm


class PeerCollaboration(BranchTerm):
    """Peers with an augmentation each learn from their joint prediction, and from EMAs of one another."""

    requires = ("embedding",)

    def __init__(self, tap: str, peers: int, temperature: float, ramp: float, decay: float):
        super().__init__(tap, peers - 1, temperature, ramp)
        self.decay, self.twins = decay, ExtraAugmentation(peers - 1).names
        live = (ForwardPass(name, grad=True, source=name) for name in self.twins)
        slow = (ForwardPass(f"average_{name}", False, "average", name, taps=(tap,)) for name in self.twins)
        self.views = (ForwardPass("average", grad=False, network="average", taps=(tap,)), *live, *slow)

    def build(self, context: BuildContext) -> None:
        """Make the other peers, EMAs of them, and a classifier of all embeddings."""
        self.peers = self.make_branches(context)
        self.averages = EMAHeads(self.peers, self.decay)
        self.join = JoinedEmbeddings(1 + self.count, context.shapes["embedding"][-1], context.classes)

    def parts(self, context: StepContext) -> tuple[Tensor, Tensor]:
        """Compute CE of peers and ensemble; T² (KL from the ensemble + mean KL from the others' EMAs)."""
        others = self.run_branches(self.peers, self.twins, context)
        averages = self.run_branches(self.averages, [f"average_{name}" for name in self.twins], context)
        ensemble = context.rows.logits(self.join([context.embedding, *(each.embedding for each in others)]))
        learn = context.cross_entropy(ensemble) + sum_tensors(context.cross_entropy(each.logits) for each in others)
        students = [each.logits for each in (context.anchor, *others)]
        teachers = [each.logits for each in (context.views["average"], *averages)]
        return learn, ensemble_kl(students, ensemble, teachers, self.temperature)

    def after_step(self) -> None:
        """Update the EMAs of the peers."""
        self.averages.update(self.peers)


@method_constructor
def pcl(
    tap: str = "stage-2", peers: Peers = 3, temperature: Positive = 3.0, ramp: NonNegative = 80.0, decay: Share = 0.999
) -> Method:
    """Peer branches taught by their ensemble and their EMAs; the EMA is exported (Wu and Gong, 2021).

    >>> from selfdistill.methods import pcl
    >>> print(pcl(peers=2).export_role)
    average
    """
    needs, networks = {"twin": ExtraAugmentation(peers - 1)}, {"average": EMATeacher(decay=decay)}
    term = PeerCollaboration(tap, peers, temperature, ramp, decay)
    return Method({"collaboration": term}, needs=needs, networks=networks, export_role="average")

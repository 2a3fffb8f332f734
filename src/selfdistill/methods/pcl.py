"""Peer Collaborative Learning for Online Knowledge Distillation (https://arxiv.org/abs/2006.04147)."""

from selfdistill.data.requirements import ExtraAugmentation
from selfdistill.functional import kl_divergence, mutual_kl
from selfdistill.heads import EMAHeads, JoinedEmbeddings
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Several, Share, method_constructor
from selfdistill.method.networks import EMATeacher
from selfdistill.terms import BuildContext, ForwardPass, StepContext
from selfdistill.terms.branches import Branching


class Collaboration(Branching):
    """Peers with a view each learn from their joint prediction, and from averages of one another."""

    requires = ("embedding",)

    def __init__(self, tap: str, peers: int, temperature: float, ramp: float, decay: float):
        super().__init__(tap, peers - 1, temperature, ramp)
        self.decay = decay
        self.live = [ForwardPass(name, grad=True, source=name) for name in ExtraAugmentation(peers - 1).names]
        self.slow = [
            ForwardPass(f"average_{each.name}", False, "average", each.source, taps=(tap,)) for each in self.live
        ]
        self.views = (ForwardPass("average", grad=False, network="average", taps=(tap,)), *self.live, *self.slow)

    def build(self, context: BuildContext):
        """Make the other peers, slow copies of them, and what joins the embeddings of all."""
        self.peers = self.grow(context)
        self.averages = EMAHeads(self.peers, self.decay)
        self.join = JoinedEmbeddings(1 + self.count, context.shapes["embedding"][-1], context.classes)

    def both(self, context: StepContext):
        """CE of peers and ensemble; T² (KL from the ensemble + mean KL from the others' averages)."""
        live = [context.anchor, *self.branch_out(self.peers, [context.views[view.name] for view in self.live])]
        slow = [
            context.views["average"],
            *self.branch_out(self.averages, [context.views[view.name] for view in self.slow]),
        ]
        ensemble = self.join([each.embedding for each in live])
        learn = context.learn(ensemble) + sum(context.learn(each.logits) for each in live[1:])
        return learn, self.imitation([each.logits for each in live], ensemble, [each.logits for each in slow])

    def imitation(self, logits, ensemble, slow):
        """What all peers owe to the ensemble and to the others' averages. -> []."""
        from_others = mutual_kl(logits, slow, self.temperature)
        return sum(kl_divergence(each, ensemble, self.temperature) for each in logits) + from_others

    def after_step(self):
        """Let the averages follow their peers."""
        self.averages.follow(self.peers)


@method_constructor
def pcl(
    tap: str = "stage-2",
    peers: Several = 3,
    temperature: Positive = 3.0,
    ramp: NotNegative = 80.0,
    decay: Share = 0.999,
) -> Method:
    """Peer branches with a view each, their ensemble and their averages teach; the average is deployed."""
    term = Collaboration(tap, peers, temperature, ramp, decay)
    networks = {"average": EMATeacher(decay=decay)}
    return Method(
        {"collaboration": term}, needs={"twin": ExtraAugmentation(peers - 1)}, networks=networks, export_role="average"
    )

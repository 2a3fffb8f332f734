"""Peer Collaborative Learning for Online Knowledge Distillation (https://arxiv.org/abs/2006.04147)."""

from selfdistill.data.requirements import Twin
from selfdistill.functional import kl, mutual
from selfdistill.heads import Averages, JoinedEmbeddings
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Several, Share, recipe
from selfdistill.method.networks import Average
from selfdistill.terms import Parts, Seen, View
from selfdistill.terms.branches import Branching


class Collaboration(Branching):
    """Peers with a view each learn from their joint prediction, and from averages of one another."""

    reads = ("embedding",)

    def __init__(self, tap: str, peers: int, temperature: float, ramp: float, decay: float):
        super().__init__(tap, peers - 1, temperature, ramp)
        self.decay = decay
        self.live = [View(name, grad=True, source=name) for name in Twin(peers - 1).names]
        self.slow = [View(f"average_{each.name}", False, "average", each.source, taps=(tap,)) for each in self.live]
        self.views = (View("average", grad=False, network="average", taps=(tap,)), *self.live, *self.slow)

    def build(self, parts: Parts):
        """Make the other peers, slow copies of them, and what joins the embeddings of all."""
        self.peers = self.grow(parts)
        self.averages = Averages(self.peers, self.decay)
        self.join = JoinedEmbeddings(1 + self.count, parts.shapes["embedding"][-1], parts.classes)

    def both(self, seen: Seen):
        """CE of peers and ensemble; T² (KL from the ensemble + mean KL from the others' averages)."""
        live = [seen.anchor, *self.branch_out(self.peers, [seen.views[view.name] for view in self.live])]
        slow = [seen.views["average"], *self.branch_out(self.averages, [seen.views[view.name] for view in self.slow])]
        ensemble = self.join([each.embedding for each in live])
        learn = seen.learn(ensemble) + sum(seen.learn(each.logits) for each in live[1:])
        return learn, self.imitation([each.logits for each in live], ensemble, [each.logits for each in slow])

    def imitation(self, logits, ensemble, slow):
        """What all peers owe to the ensemble and to the others' averages. -> []."""
        from_others = mutual(logits, slow, self.temperature)
        return sum(kl(each, ensemble, self.temperature) for each in logits) + from_others

    def after_step(self):
        """Let the averages follow their peers."""
        self.averages.follow(self.peers)


@recipe
def pcl(
    tap: str = "stage-2",
    peers: Several = 3,
    temperature: Positive = 3.0,
    ramp: NotNegative = 80.0,
    decay: Share = 0.999,
) -> Method:
    """Peer branches with a view each, their ensemble and their averages teach; the average is deployed."""
    term = Collaboration(tap, peers, temperature, ramp, decay)
    networks = {"average": Average(decay=decay)}
    return Method({"collaboration": term}, needs={"twin": Twin(peers - 1)}, networks=networks, deploys="average")

"""The trunk of a model: autograd nodes on every path from its root to the logits (dominators)."""

from collections.abc import Iterable

from torch import Tensor
from torch.autograd.graph import Node

PRIME = (1 << 61) - 1  # modulus of path counts, which grow exponentially


class Trunk:
    """The dominating autograd nodes of a pass, and the joins of branches between them.

    The root is an input, or an embedding of integers. A node lies on every path where (paths root -> node) ·
    (paths node -> logits) is the number of paths root -> logits.
    """

    def __init__(self, logits: Tensor, root: Tensor):
        live = _live(nodes_behind(logits.grad_fn), root)
        below, above = _paths(live, logits.grad_fn)
        total = below[live[-1]] if live else 0  # the last node is that of the logits
        self.nodes = {node for node in live if below[node] * above[node] % PRIME == total}
        self._inputs = {node: [each for each in _inputs(node) if each in below] for node in live}

    def __contains__(self, node: Node | None) -> bool:
        return node in self.nodes

    def joins(self, node: Node, until: Iterable[Node]) -> bool:
        """Return True if branches join between the trunk nodes `until` and this one."""
        stop = set(until) - {node}
        while node not in stop:
            if len(self._inputs[node]) != 1:
                return len(self._inputs[node]) > 1
            node = self._inputs[node][0]
            if node not in self.nodes:
                return True
        return False


def _inputs(node: Node) -> list[Node]:
    return [each for each, _ in node.next_functions if each is not None]


def nodes_behind(end: Node | None) -> list[Node]:
    """Return all nodes that a node depends on, and itself, in topological order, inputs first."""
    order, visited, stack = [], set(), [(end, False)] if end else []
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in visited:
            visited.add(node)
            stack.append((node, True))
            stack.extend((each, False) for each in _inputs(node) if each not in visited)
    return order


def _live(order: list[Node], root: Tensor) -> list[Node]:
    """Return the nodes that depend on the root."""
    live: dict[Node, None] = {}
    for node in order:
        starts = node is root.grad_fn or getattr(node, "variable", None) is root
        if starts or any(each in live for each in _inputs(node)):
            live[node] = None
    return list(live)


def _paths(live: list[Node], end: Node | None) -> tuple[dict[Node, int], dict[Node, int]]:
    """Count the paths from the root to each node, and from each node to the end, modulo `PRIME`."""
    below: dict[Node, int] = {}
    for node in live:
        below[node] = sum(below[each] for each in _inputs(node) if each in below) % PRIME or 1
    above = dict.fromkeys(live, 0)
    if end in above:
        above[end] = 1
    for node in reversed(live):
        for each in _inputs(node):
            if each in above:
                above[each] = (above[each] + above[node]) % PRIME
    return below, above

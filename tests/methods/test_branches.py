"""Methods with exits and branches: their published losses, through the terms that training uses."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from selfdistill.functional import ensemble_kl, kl_to_probabilities, mixup_consistency, softmax_with_temperature
from selfdistill.heads import MapAlignment
from selfdistill.methods import byot, dks, mixskd, okddip, one, pcl
from selfdistill.terms import ModelOutputs
from tests.helpers.step_contexts import build_context, clock, only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-11}


class FixedOutputs(nn.Module):
    """A branch that gives what it was told to."""

    def __init__(self, logits, embedding=None, **features):
        super().__init__()
        self.outputs = ModelOutputs(logits, embedding, features)

    def forward(self, features, pool=None):
        return self.outputs


def leaves(want, *names):
    return [want[name].requires_grad_() for name in names]


def grads_are(want, names):
    for name in names:
        grad = want[name].grad
        grad = torch.zeros_like(want[name]) if grad is None else grad
        assert_close(grad, want[f"grad_{name}"], **EXACT)


def set_linear(layer, weight, bias=None):
    layer.weight = nn.Parameter(weight.clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.clone())


def test_byot_journal_is_the_first_authors_code(reference, float64):
    want = reference("byot_archiplab")
    names = [f"{kind}_{k}" for k in range(4) for kind in ("logits", "feat")]
    leaves(want, *names)
    term = only(byot(form="journal", mimic=0.3, learn=0.7, hint=0.03, temperature=3.0), "exits")
    shapes = {f"stage{k}": (8, 7, 4, 4) for k in range(1, 5)}
    term.build(build_context(**shapes, embedding=(8, 7), logits=(8, 12)))
    shallow = [
        FixedOutputs(want[f"logits_{k}"], want[f"feat_{k}"]) for k in (3, 2, 1)
    ]  # theirs count from the deep end
    term.heads = nn.ModuleList(shallow)
    for layer, k in zip(term.hints.adapt, (2, 1), strict=True):
        set_linear(layer, want[f"adapt_weight_{k}"], want[f"adapt_bias_{k}"])
    step = step_context(
        want["logits_0"], want["targets"], embedding=want["feat_0"], features=dict.fromkeys(shapes, torch.zeros(8, 1))
    )
    loss = F.cross_entropy(want["logits_0"], want["targets"]) + total(term.loss(step))
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    grads_are(want, [name for name in names if name != "feat_0"])
    assert want["feat_0"].grad is None
    for layer, k in zip(term.hints.adapt, (2, 1), strict=True):
        assert_close(layer.weight.grad, want[f"grad_adapt_weight_{k}"], **EXACT)
        assert_close(layer.bias.grad, want[f"grad_adapt_bias_{k}"], **EXACT)


def test_byot_maps_is_self_kd_lib(reference):
    want = reference("byot_selfkdlib")
    leaves(want, "logits_main", "logits_head1", "logits_head2", "feat_main", "feat_head1", "feat_head2")
    term = only(byot(learn=1.0, mimic=1.0, hint=0.05, temperature=4.0, exits="tail", form="maps"), "exits")
    shapes = {"stage2": (8, 1), "stage3": (8, 1), "stage4": want["feat_main"].shape}
    term.build(build_context(branch=lambda tap: nn.Identity(), **shapes, embedding=(8, 1), logits=(8, 1)))
    term.heads = nn.ModuleList(FixedOutputs(want[f"logits_head{k}"], stage4=want[f"feat_head{k}"]) for k in (2, 1))
    features = {"stage2": torch.zeros(8, 1), "stage3": torch.zeros(8, 1), "stage4": want["feat_main"]}
    loss = term.loss(step_context(want["logits_main"], want["targets"], features=features))
    (F.cross_entropy(want["logits_main"], want["targets"]) + total(loss)).backward()
    assert_close(loss["mimic"].detach(), want["loss_div"], **EXACT)
    grads_are(want, ["logits_main", "logits_head1", "logits_head2", "feat_head1", "feat_head2"])
    assert want["feat_main"].grad is None


def test_byot_paper_by_hand(float64):
    term = only(byot(learn=0.6, mimic=0.4, hint=0.5, temperature=2.0), "exits")
    term.build(build_context(stage1=(5, 4, 6, 6), stage2=(5, 8, 3, 3), embedding=(5, 8), logits=(5, 7)))
    features = {"stage1": torch.randn(5, 4, 6, 6), "stage2": torch.randn(5, 8, 3, 3)}
    logits, embedding, labels = torch.randn(5, 7), torch.randn(5, 8), torch.randint(0, 7, (5,))
    got = term.loss(step_context(logits, labels, embedding=embedding, features=features))
    shown = term.heads[0](features["stage1"])
    learn = mimic = 0.0
    for b in range(5):
        learn -= 0.6 * shown.logits[b].log_softmax(0)[labels[b]] / 5
        teacher, own = (logits[b] / 2).softmax(0), (shown.logits[b] / 2).log_softmax(0)
        mimic += 0.4 * 4 * sum(teacher[c] * (teacher[c].log() - own[c]) for c in range(7)) / 5
        mimic += 0.5 * sum((shown.embedding[b, d] - embedding[b, d]) ** 2 for d in range(8)) / 40
    assert_close(got["learn"], learn)
    assert_close(got["mimic"], mimic)


def gated(want, weight, bias, norm_weight, norm_bias):
    term = only(one(branches=3, temperature=3.0, epsilon=1e-7), "ensemble")
    width = want[weight].shape[1]
    term.build(build_context(branch=lambda tap: nn.Identity(), **{"stage-2": (8, width, 4, 4)}, logits=(8, 10)))
    set_linear(term.gate[0], want[weight], want[bias])
    set_linear(term.gate[1], want[norm_weight], want[norm_bias])
    return term


def test_one_is_the_authors_code(reference, float64):
    for file, pooled, branches in (
        ("one_head", "pooled_stage2", ["branch1", "branch2", "branch3"]),
        ("one_official", "gate_features", ["logits_0", "logits_1", "logits_2"]),
    ):
        want = reference(file)
        norm = ("bn_weight", "bn_bias") if file == "one_head" else ("gate_bn_weight", "gate_bn_bias")
        term = gated(want, "gate_weight", "gate_bias", *norm)
        leaves(want, pooled, *branches)
        first, *others = (want[name] for name in branches)
        term.branches = nn.ModuleList(FixedOutputs(each) for each in others)
        trunk = want[pooled][:, :, None, None].expand(-1, -1, 4, 4)
        got = term.loss(step_context(first, want["targets"], features={"stage-2": trunk}))
        weight = want["consistency_weight"]
        learn = F.cross_entropy(first, want["targets"]) + got["learn"]
        (learn + weight * got["mimic"]).backward()
        assert_close(learn.detach(), want["loss_cross"], **EXACT)
        assert_close((weight * got["mimic"]).detach(), want["loss_kl_weighted"], **EXACT)
        grads_are(want, branches)
        key = "grad_pooled" if file == "one_head" else "grad_gate_features"
        assert_close(want[pooled].grad, want[key], **EXACT)
        assert_close(term.gate[0].weight.grad, want["grad_gate_weight"], **EXACT)
        assert_close(term.gate[1].weight.grad, want[f"grad_{norm[0]}"], **EXACT)
        assert_close(term.gate[1].bias.grad, want[f"grad_{norm[1]}"], **EXACT)


def test_one_kl_is_the_authors(reference):
    want = reference("one_klloss")
    (logits,) = leaves(want, "pred_logits")
    loss = kl_to_probabilities(logits, softmax_with_temperature(want["ensemble_logits"], 3.0) + want["eps"], 3.0)
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_pred_logits"], **EXACT)


def test_ramp_up_is_the_published_one(reference):
    for file, at in (("one_rampup", "epoch"), ("rampup", "epochs")):
        want = reference(file)
        got = [clock(epoch).sigmoid_ramp(80.0).item() for epoch in want[at].tolist()]
        assert_close(torch.tensor(got).double(), want["weight"], rtol=1e-5, atol=1e-8)
    assert clock(3).sigmoid_ramp(0) == 1


def test_okddip_is_the_authors_code(reference, float64):
    want = reference("okddip")
    names = [f"{kind}_{k}" for k in range(3) for kind in ("logits", "feat")] + ["logits_3"]
    leaves(want, *names)
    term = only(okddip(temperature=3.0, ramp=80.0), "peers")
    term.build(
        build_context(branch=lambda tap: nn.Identity(), **{"stage-2": (8, 16, 4, 4)}, embedding=(8, 16), logits=(8, 10))
    )
    set_linear(term.query, want["W_query"])
    set_linear(term.key, want["W_key"])
    term.peers = nn.ModuleList(FixedOutputs(want[f"logits_{k}"], want[f"feat_{k}"]) for k in range(3))
    at = clock(epoch=want["epoch"].item())
    at = at._replace(epoch=at.epoch.double())
    step = step_context(want["logits_3"], want["targets"], features={"stage-2": torch.zeros(8, 1)}, clock=at)
    got = term.loss(step)
    (F.cross_entropy(want["logits_3"], want["targets"]) + total(got)).backward()
    loss = F.cross_entropy(want["logits_3"], want["targets"]) + total(got)
    assert_close(loss.detach(), want["loss"], **EXACT)
    grads_are(want, names)
    assert_close(term.query.weight.grad, want["grad_W_query"], **EXACT)
    assert_close(term.key.weight.grad, want["grad_W_key"], **EXACT)


def test_pcl_after_its_ramp_is_the_reproduction(reference):
    want = reference("pcl_after_rampup")
    names = [f"logits_{k}" for k in range(3)] + ["ensemble_logits"]
    leaves(want, *names)
    logits, slow = ([want[f"{kind}_{k}"] for k in range(3)] for kind in ("logits", "ema_logits"))
    learn = sum(F.cross_entropy(each, want["targets"]) for each in (*logits, want["ensemble_logits"]))
    loss = learn + ensemble_kl(logits, want["ensemble_logits"], slow, temperature=3.0)
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    grads_are(want, names)


def test_pcl_averages_are_the_reproductions(reference, float64):
    want = reference("pcl_ema")
    term = only(pcl(decay=want["decay"].item()), "collaboration")
    term.build(build_context(branch=lambda tap: nn.Linear(5, 1, bias=False), embedding=(8, 4), logits=(8, 3)))
    slow, live = next(term.averages.parameters()), next(term.peers.parameters())
    slow.data.copy_(want["ema_init"])
    for weights, after in zip(want["weights"], want["ema_after_step"], strict=True):
        live.data.copy_(weights)
        term.after_step()
        assert_close(slow.detach()[0], after, **EXACT)


def test_dks_is_self_kd_lib(reference):
    want = reference("dks_T4")
    logits = leaves(want, "logits_0", "logits_1", "logits_2")
    got = only(dks(temperature=4.0), "synergy").parts(step_context(logits[0], want["targets"]), logits[1:])
    learn = F.cross_entropy(logits[0], want["targets"]) + got["learn"]
    (learn + got["mimic"]).backward()
    assert_close(learn.detach(), want["loss_cls"], **EXACT)
    assert_close(got["mimic"].detach(), want["loss_div"], **EXACT)
    grads_are(want, ["logits_0", "logits_1", "logits_2"])


def test_mixskd_is_the_cifar_script(reference):
    """Without the fusion's own loss and with frozen judges, as the script has it."""
    want = reference("mixskd_cifar_script")
    names = [f"{kind}_{k}" for k in range(4) for kind in ("logits", "features")]
    fused = ["ensemble_logits_of_interpolated", "ensemble_logits_of_mixup"]
    leaves(want, *names, *fused)
    term = only(mixskd(adversarial=False, fusion=False, temperature=want["temperature"].item()), "mixed")
    lam, order, rows = want["lam"], want["mix_index"], 8

    def halves(name):
        whole, mixture = want[name][:rows], want[name][rows:]
        return whole, lam * whole + (1 - lam) * whole[order], mixture

    logits, maps = ([halves(f"{kind}_{k}") for k in range(4)] for kind in ("logits", "features"))
    term.judges = MapAlignment(0, 0, gap=1.0, discrimination=1.0, adversarial=False)
    for k in range(4):
        judge = nn.Sequential(*(nn.Linear(*want[f"disc{k}_w{j}"].T.shape) for j in (1, 2)))
        judge.insert(1, nn.ReLU())
        for layer, j in ((judge[0], 1), (judge[2], 2)):
            set_linear(layer, want[f"disc{k}_w{j}"], want[f"disc{k}_b{j}"])
        term.judges.append(judge)
    learn = sum(F.cross_entropy(each[0], want["targets"]) for each in logits)
    mixes, mixture = ([each[side] for each in logits] for side in (1, 2))
    agreement = mixup_consistency(mixes, mixture, tuple(want[key] for key in fused), term.temperature)
    alike = term.judges(*([each[side] for each in maps] for side in (1, 2)))
    (learn + agreement + alike).backward()
    assert_close(learn.detach(), want["loss_cls"], **EXACT)
    assert_close(agreement.detach(), want["loss_div"], **EXACT)
    assert_close(alike.detach(), want["loss_fea"] + want["loss_gan"], **EXACT)
    grads_are(want, names)

"""Two processes: gradients are the mean over ranks, memory of the run is everyone's."""

import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from selfdistill.methods import parse_method
from tests.contract.steps import EXPRESSIONS, Training, batch, clock, distil

pytestmark = pytest.mark.usefixtures("float64")  # as the ranks have it
SCRIPT = Path(__file__).parent / "rank.py"


def of_the_run(text):
    """Whether a memory of it is the whole run's."""
    return any(term.memory_scope == "run" for term in parse_method(text).all_terms.values())


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What two processes said of every expression."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    root = Path(__file__).parents[2]
    environment = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": "2",
        "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
    }
    ranks = [
        subprocess.Popen([sys.executable, str(SCRIPT), str(folder)], env={**environment, "RANK": str(rank)}, cwd=root)
        for rank in range(2)
    ]
    assert [each.wait(timeout=500) for each in ranks] == [0, 0]
    return [pickle.loads((folder / f"rank{rank}.pickle").read_bytes()) for rank in range(2)]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_gradients_are_the_mean_over_ranks(told, text):
    alone = []
    for rank in range(2):
        distiller = distil(text, "group")
        training = Training(distiller, rows=4)
        made = distiller(batch(0, distiller.method, rank), clock(0), training.memories)
        if of_the_run(text):
            pytest.skip("its loss reads the rows of all ranks; test_run_memory covers it")
        distiller.total(made.losses).backward()
        alone.append({name: each.grad for name, each in distiller.named_parameters() if each.requires_grad})
    for name, grad in told[0][text]["grads"].items():
        assert torch.equal(grad, told[1][text]["grads"][name]), name
        assert_close(grad, (alone[0][name] + alone[1][name]) / 2, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("text", [text for text in EXPRESSIONS if of_the_run(text)])
def test_run_memory_is_equal_on_ranks_and_to_one_process(told, text):
    whole = Training(distil(text, "group")).steps(3)
    scopes = {name: term.memory_scope for name, term in whole.distiller.terms.items()}
    for name in (name for name, scope in scopes.items() if scope == "run"):
        one, other = (told[rank][text]["memories"][name] for rank in range(2))
        assert_close(one, other, rtol=0, atol=0)
        if text in (
            "csd()",
            "csd(fusion='confidence', detach=False, warmup=1) + label_smoothing()",
            "ols()",
        ):  # over rows
            assert_close(one, whole.memories[name], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_two_ranks_train_as_one_process(told, text):
    """For methods whose losses are means over rows; batch norm, mixing, erasing and dropout see a rank's rows alone."""
    whole = Training(distil(text, "group")).steps(3)
    terms, made = whole.distiller.terms, whole.distiller.method
    normed = any(isinstance(each, torch.nn.modules.batchnorm._BatchNorm) for each in terms.modules())
    drawn = made.mixing or made.erasing or any(term.uses_random for term in terms.values())
    if normed or drawn or any(term.reduction == "batch" for term in terms.values()):
        pytest.skip("not a mean over rows")
    for name, each in whole.distiller.named_parameters():
        assert_close(told[0][text]["parameters"][name], each.detach(), rtol=1e-8, atol=1e-10)


def test_rank_memory_is_each_ranks_own(told):
    one, other = (told[rank]["dsr()"]["memories"]["shape"][0] for rank in range(2))
    assert not torch.allclose(one, other)

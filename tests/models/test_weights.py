import argparse
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from selfdistill import models
from selfdistill.errors import UserError


@pytest.fixture(params=["safetensors", "pt", "pth", "nested.pth"])
def saved(request, tmp_path):
    """A resnet8 of 10 classes, and the file that holds its weights."""
    network = models.create("resnet8", 10)
    path = tmp_path / f"weights.{request.param}"
    state = network.state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"model": state, "epoch": 3} if "nested" in path.name else state, path)
    return network, path


def test_round_trip(saved):
    network, path = saved
    images = torch.randn(2, 3, 8, 8)
    again = models.create("resnet8", 10, weights=path).eval()
    assert torch.equal(again(images), network.eval()(images))


def test_another_class_count_leaves_the_classifier_new(saved):
    network, path = saved
    torch.manual_seed(7)
    fresh = models.create("resnet8", 5).state_dict()
    torch.manual_seed(7)
    loaded = models.create("resnet8", 5, weights=str(path)).state_dict()
    for key, value in network.state_dict().items():
        expected = fresh[key] if key.startswith("classifier") else value
        assert torch.equal(loaded[key], expected)


def test_loading_draws_nothing(saved):
    torch.manual_seed(7)
    models.create("resnet8", 10)
    expected = torch.get_rng_state()
    torch.manual_seed(7)
    models.create("resnet8", 10, weights=saved[1])
    assert torch.equal(torch.get_rng_state(), expected)


def test_weights_of_another_network(saved):
    _, path = saved
    with pytest.raises(
        UserError, match=r"holds the weights of another network \(missing: (model.)?layer1.1.*and 27 more"
    ):
        models.create("resnet14", 10, weights=path)


def test_weights_of_another_width(saved):
    _, path = saved
    with pytest.raises(
        UserError, match=r"of another shape: (model.)?stem.0.weight, .*stem.1.weight, .*stem.1.bias and"
    ):
        models.create("resnet8x4", 10, weights=path)


def test_unexpected_keys(tmp_path):
    state = models.create("resnet8", 10).state_dict()
    save_file({**state, "extra.weight": torch.ones(2)}, tmp_path / "more.safetensors")
    with pytest.raises(UserError, match=r"another network \(unexpected: extra.weight\)$"):
        models.create("resnet8", 10, weights=tmp_path / "more.safetensors")


def test_old_files_without_batch_counts(tmp_path):
    state = models.create("resnet8", 10).state_dict()
    old = {key: torch.rand_like(value) for key, value in state.items() if "num_batches" not in key}
    torch.save(old, tmp_path / "old.pth")
    loaded = models.create("resnet8", 10, weights=tmp_path / "old.pth").state_dict()
    assert len(old) < len(loaded)
    assert all(torch.equal(loaded[key], value) for key, value in old.items())


class Command:
    def __reduce__(self):
        return print, ("run by a weights file",)


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth", "empty.pt", "empty.safetensors", "code.pt"])
def test_damaged_or_dangerous_file(name, tmp_path, capsys):
    path = tmp_path / name
    contents = {"cut": b"\x80\x02junk", "empty": b"", "code": pickle.dumps({"weight": Command()})}
    path.write_bytes(contents[path.stem])
    with pytest.raises(UserError) as caught:
        models.create("resnet8", 10, weights=path)
    assert str(caught.value).startswith(f"{path} cannot be read: it is damaged, or holds more than tensors; ")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("contents", [[1, 2], {}, {"acc": 93.1, "net": {}}])
def test_not_a_state_dict(tmp_path, contents):
    torch.save(contents, tmp_path / "list.pt")
    with pytest.raises(UserError, match=r"list.pt holds no state dict; save model.state_dict\(\)"):
        models.create("resnet8", 10, weights=tmp_path / "list.pt")


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"there is no weights file .*none.pt"):
        models.create("resnet8", 10, weights=tmp_path / "none.pt")


def test_another_format(tmp_path):
    (tmp_path / "weights.h5").touch()
    with pytest.raises(UserError, match=r"read from .safetensors, .pt, .*and .tar files, not from .*weights.h5"):
        models.create("resnet8", 10, weights=tmp_path / "weights.h5")


def state(seed=0, classes=10):
    torch.manual_seed(seed)
    return models.create("resnet8", classes).state_dict()


def prefixed(prefix, weights):
    return {prefix + key: value for key, value in weights.items()}


def momentum():
    """The state of an optimizer, whose tensors have shapes of weights."""
    network = models.create("resnet8", 10)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    network(torch.zeros(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


def inside(key, name, wrapper):
    return key.replace(name, f"{name}{wrapper}")


WRAPPED = {
    "DataParallel and DDP": lambda own: prefixed("module.", own),
    "torch.compile": lambda own: prefixed("_orig_mod.", own),
    "DDP of a compiled model": lambda own: prefixed("module._orig_mod.", own),
    "a compiled DDP": lambda own: prefixed("_orig_mod.module.", own),
    "one compiled submodule": lambda own: {inside(key, "layer1.0.", "_orig_mod."): own[key] for key in own},
    "one parallel submodule": lambda own: prefixed(
        "model.", {inside(key, "stem.", "module."): own[key] for key in own}
    ),
    "scripts for CIFAR": lambda own: {"net": prefixed("module.", own), "acc": np.float64(93.1), "epoch": 199},
    "an optimizer beside": lambda own: {"model_state_dict": own, "optimizer": momentum(), "epoch": torch.tensor(3)},
    "arguments beside": lambda own: {"state_dict": own, "args": argparse.Namespace(lr=0.1, data=Path("x"), best=None)},
    "Lightning": lambda own: {"state_dict": prefixed("model.", own) | {"criterion.weight": torch.ones(10)}},
    "an average of weights": lambda own: {"n_averaged": torch.tensor(3)} | prefixed("module.", own),
    "an average that is the same": lambda own: {"model": own, "ema": {"decay": 0.9, "module": dict(own)}},
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED.keys())
def test_wrapped_weights_are_those_of_the_network(tmp_path, wrap):
    torch.save(wrap(state(seed=3)), tmp_path / "weights.pt")
    loaded = models.create("resnet8", 10, weights=tmp_path / "weights.pt").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state(seed=3).items())


@pytest.mark.parametrize("name", ["checkpoint.pth.tar", "last.ckpt", "pytorch_model.bin"])
def test_checkpoints_have_several_endings(tmp_path, name):
    torch.save({"state_dict": state(seed=3)}, tmp_path / name)
    loaded = models.create("resnet8", 10, weights=tmp_path / name).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state(seed=3).items())


def test_wrapped_weights_of_another_class_count(tmp_path):
    torch.save({"net": prefixed("module.", state(seed=3, classes=7))}, tmp_path / "seven.pt")
    loaded = models.create("resnet8", 10, weights=tmp_path / "seven.pt").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state(3, 7).items() if "classifier" not in key)
    assert loaded["classifier.weight"].shape[0] == 10


SEVERAL = {
    "'model' and 'model_ema'": lambda own, other: {"model": own, "model_ema": other},
    "'state_dict' and 'state_dict_ema'": lambda own, other: {"state_dict": own, "state_dict_ema": other},
    "'student' and 'teacher'": lambda own, other: prefixed("student.", own) | prefixed("teacher.", other),
    "the top and 'ema.module'": lambda own, other: {**own, "ema": {"module": other}},
}


@pytest.mark.parametrize(("names", "both"), SEVERAL.items())
def test_weights_that_differ_are_a_question(tmp_path, names, both):
    torch.save(both(state(1), state(2)), tmp_path / "both.pt")
    with pytest.raises(UserError, match=f"several weights of this network that differ, under {names}; save the state"):
        models.create("resnet8", 10, weights=tmp_path / "both.pt")


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda own: {"net": {**own, "extra": torch.ones(1)}}, r"another network \(unexpected: net.extra\)$"),
        (
            lambda own: {"net": {key: own[key] for key in own if key != "classifier.bias"}},
            r"another network \(missing: net.classifier.bias\)$",
        ),
        (
            lambda own: (
                {f"module.{key}" if "layer2" in key else key: own[key] for key in own}
                | {"layer2.x": own["stem.0.weight"]}
            ),
            r"another network \(unexpected: layer2.x\)$",
        ),
        (lambda own: {"optimizer": momentum()}, r"another network \(missing: stem.0.weight, .*unexpected: optimizer"),
    ],
)
def test_wrapped_weights_of_another_network_are_named_by_their_keys(tmp_path, wrap, message):
    torch.save(wrap(state()), tmp_path / "other.pt")
    with pytest.raises(UserError, match=message):
        models.create("resnet8", 10, weights=tmp_path / "other.pt")


def test_a_saved_model_is_named_and_not_run(tmp_path):
    torch.save(models.create("resnet8", 10), tmp_path / "model.pt")
    with pytest.raises(
        UserError, match=r"holds a torch.nn.*Sequential, which may run code; load it where it was saved"
    ):
        models.create("resnet8", 10, weights=tmp_path / "model.pt")

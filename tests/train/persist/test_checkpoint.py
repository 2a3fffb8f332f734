"""Checkpoints that are damaged, foreign or hostile, and the one before them."""

import hashlib
import io
import random

import numpy as np
import pytest
import torch

from selfdistill.errors import UserError
from selfdistill.train.persist import checkpoint
from selfdistill.train.persist.checkpoint import CheckpointError


class Evil:
    def __reduce__(self):
        return pytest.fail, ("the checkpoint was executed",)


def signed(state):
    """A file that is whole, whatever it holds."""
    body = io.BytesIO()
    torch.save(state, body)
    return checkpoint.HEADER + hashlib.sha256(body.getvalue()).hexdigest().encode() + b"\n" + body.getvalue()


def flipped(whole, place):
    return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


DAMAGE = {
    "empty": (lambda whole: b"", "it is not a checkpoint of this version"),
    "foreign": (lambda whole: b"no checkpoint", "it is not a checkpoint of this version"),
    "cut": (lambda whole: whole[: len(whole) // 2], "its checksum is wrong: it was cut short or changed on the disk"),
    "cut by a byte": (lambda whole: whole[:-1], "its checksum is wrong"),
    "a byte flipped": (lambda whole: flipped(whole, len(whole) // 2), "its checksum is wrong"),
    "the last flipped": (lambda whole: flipped(whole, len(whole) - 1), "its checksum is wrong"),
    "the sum flipped": (lambda whole: flipped(whole, len(checkpoint.HEADER) + 3), "its checksum is wrong"),
    "code": (lambda whole: signed({"evil": Evil()}), r"other objects than tensors .* \(UnpicklingError\)"),
}


def anything(state):
    """Every state is one's own."""


def latest(folder, told=None, require=anything):
    return checkpoint.latest(folder, require, (told if told is not None else []).append)


def saved(folder, epochs=2):
    for epoch in range(epochs):
        state = {"epoch": epoch, "weights": torch.full((100,), epoch), "memories": {"centers": (torch.ones(2), None)}}
        checkpoint.save(folder, state)
    return folder / "last.ckpt"


def test_the_one_before_is_kept(tmp_path):
    saved(tmp_path, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "previous.ckpt"]
    assert latest(tmp_path)["memories"]["centers"][0].tolist() == [1, 1]
    assert [checkpoint.read(tmp_path / name)["epoch"] for name in ("last.ckpt", "previous.ckpt")] == [2, 1]


def test_nothing_there_is_nothing(tmp_path):
    assert latest(tmp_path) is None


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_one_is_put_aside_and_the_one_before_taken(tmp_path, kind):
    damage, why = DAMAGE[kind]
    last, told = saved(tmp_path), []
    broken = damage(last.read_bytes())
    last.write_bytes(broken)
    with pytest.raises(CheckpointError, match=why):
        checkpoint.read(last)
    assert latest(tmp_path, told)["epoch"] == 0
    assert len(told) == 1
    assert told[0].startswith(f"{last} cannot be used: it")
    assert told[0].endswith("; renamed it to unusable.ckpt, resuming from previous.ckpt")
    assert (tmp_path / "unusable.ckpt").read_bytes() == broken
    checkpoint.save(tmp_path, {"epoch": 1})  # which leaves the good one where it is
    assert [checkpoint.read(tmp_path / name)["epoch"] for name in ("last.ckpt", "previous.ckpt")] == [1, 0]


def test_every_byte_counts(tmp_path):
    last = saved(tmp_path)
    whole = last.read_bytes()
    for place in random.Random(0).sample(range(len(whole)), 60):
        last.write_bytes(flipped(whole, place))
        with pytest.raises(CheckpointError):
            checkpoint.read(last)
        last.write_bytes(whole[:place])
        with pytest.raises(CheckpointError):
            checkpoint.read(last)


def test_a_lost_last_one_leaves_the_one_before(tmp_path):
    saved(tmp_path).unlink()  # as a kill between two renames does
    assert latest(tmp_path)["epoch"] == 0


def test_two_damaged_ones_are_named_with_the_way_out(tmp_path):
    last = saved(tmp_path)
    last.write_bytes(b"x")
    (tmp_path / "previous.ckpt").write_bytes(last.read_bytes())
    with pytest.raises(UserError) as told:
        latest(tmp_path)
    why = "it is not a checkpoint of this version of selfdistill"
    assert str(told.value) == (
        f"no checkpoint in {tmp_path} can be used: last.ckpt ({why}), previous.ckpt ({why}); delete them to "
        "start the run from its beginning, or choose another --out"
    )
    assert last.exists()


def test_one_of_another_run_is_put_aside_too(tmp_path):
    saved(tmp_path)

    def first(state):
        if state["epoch"]:
            raise CheckpointError("it is of another run")

    told = []
    assert latest(tmp_path, told, first)["epoch"] == 0
    assert "last.ckpt cannot be used: it is of another run; renamed it to unusable.ckpt" in told[0]


def test_one_that_cannot_be_opened(tmp_path):
    (tmp_path / "last.ckpt").mkdir()
    with pytest.raises(CheckpointError, match="it cannot be read: Is a directory"):
        checkpoint.read(tmp_path / "last.ckpt")


def draws():
    return (
        torch.rand(2).tolist(),
        np.random.rand(2).tolist(),
        random.random(),
        torch.randn(3).tolist(),
        np.random.randn(),
    )


def test_random_streams_go_on_where_they_stood(tmp_path):
    np.random.randn(1)  # leaves half of a pair behind
    checkpoint.save(tmp_path, checkpoint.random_state(torch.device("cpu")))
    first = draws()
    draws()
    checkpoint.set_random_state(checkpoint.read(tmp_path / "last.ckpt"), torch.device("cpu"))
    assert draws() == first

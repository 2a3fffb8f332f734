"""Tables of training images: half precision, largest entries and files, against the tables in full."""

import pytest
import torch

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.step.memory import MemorySlots, commit
from selfdistill.table_format import TableFormat, parse_format
from selfdistill.terms import tables
from selfdistill.terms.banks import initial_banks

ROWS, CLASSES = 6, 5
INDEX = torch.tensor([4, 1])
LOGITS = torch.zeros(2, CLASSES)


def info(form=None, images=ROWS):
    return sd.TrainingInfo(CLASSES, None, batch=2, like=torch.zeros(()), images=images, tables=form or TableFormat())


def probabilities(seed=0):
    return torch.randn(2, CLASSES, generator=torch.Generator().manual_seed(seed)).mul(2).softmax(dim=1)


def written(form, rows):
    """A table after one step, and the rows that the next one reads."""
    table = tables.start_table(info(form), CLASSES)
    table = commit({"t": table}, {"t": tables.update_rows(table, INDEX, rows)})["t"]
    return table, tables.read_rows(table, INDEX, LOGITS)


def test_the_default_is_a_tensor_of_the_rows_themselves():
    table, read = written(None, probabilities())
    assert torch.equal(read, probabilities())
    assert torch.equal(table, torch.zeros(ROWS, CLASSES).index_copy(0, INDEX, probabilities()))


def test_half_precision_is_read_as_float32():
    table, read = written(TableFormat(half=True), probabilities())
    assert (table.dtype, read.dtype) == (torch.float16, torch.float32)
    assert torch.equal(read, probabilities().half().float())


def test_the_largest_entries_are_kept_and_the_others_share_the_rest():
    table, read = written(TableFormat(top=2), probabilities())
    kept = probabilities().topk(2, dim=1)
    assert torch.equal(read.gather(1, kept.indices), kept.values)
    others = torch.ones(2, CLASSES).scatter(1, kept.indices, 0.0).bool()
    mean = (probabilities() * others).sum(dim=1, keepdim=True) / (CLASSES - 2)
    torch.testing.assert_close(read[others].view(2, -1), mean.expand(2, CLASSES - 2))
    torch.testing.assert_close(read.sum(dim=1), torch.ones(2))
    assert {name: tuple(each.shape) for name, each in table.items()} == {
        "top": (ROWS, 2),
        "columns": (ROWS, 2),
        "rest": (ROWS, 1),
    }


def test_rows_that_were_never_written_are_zeros():
    for form in (TableFormat(top=2), TableFormat(half=True)):
        table, _ = written(form, probabilities())
        assert not tables.read_rows(table, torch.tensor([0, 5]), LOGITS).any()


def test_all_but_one_entry_lose_nothing():
    torch.testing.assert_close(written(TableFormat(top=CLASSES - 1), probabilities())[1], probabilities())


def test_as_many_entries_as_classes_are_refused():
    with pytest.raises(UserError, match=r"--memory top:5 keeps as many entries as the 5 classes have; pass fewer"):
        tables.start_table(info(TableFormat(top=5)), CLASSES)


def test_a_mapped_table_is_a_file_without_a_name(tmp_path):
    table, read = written(TableFormat(mapped=True, folder=tmp_path), probabilities())
    assert tables.is_mapped(table)
    assert torch.equal(read, probabilities())
    assert not [*tmp_path.iterdir()]
    assert not tables.is_mapped(written(TableFormat(mapped=True), probabilities())[0])


def test_a_folder_that_does_not_exist_yet_uses_the_one_above(tmp_path):
    assert tables.is_mapped(written(TableFormat(mapped=True, folder=tmp_path / "runs" / "one"), probabilities())[0])


def test_a_full_disk_is_named_before_the_run(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(UserError, match=r"cannot make a table of .* in .*: No space left on device; free the disk, or"):
        tables.start_table(info(TableFormat(mapped=True, folder=tmp_path)), CLASSES)


def test_banks_are_in_half_precision_or_refused():
    assert initial_banks(info(TableFormat(half=True)), 4)["student"].dtype == torch.float16
    assert tables.read_bank(torch.ones(2, 2, dtype=torch.float16)).dtype == torch.float32
    for form, name in ((TableFormat(top=2), "top"), (TableFormat(mapped=True), "mapped")):
        with pytest.raises(
            UserError, match=rf"--memory {name} is for tables of probabilities .*reads all 6 embeddings"
        ):
            initial_banks(info(form), 4)


def test_a_nonfinite_update_keeps_the_table(tmp_path):
    for form in (TableFormat(mapped=True, folder=tmp_path), TableFormat(half=True, top=2)):
        table, before = written(form, probabilities())
        bad = tables.update_rows(table, INDEX, torch.full((2, CLASSES), torch.nan))
        after = commit({"t": table}, {"t": bad})["t"]
        assert torch.equal(tables.read_rows(after, INDEX, LOGITS), before)


class Remembering(sd.LossTerm):
    memory_scope = "run"

    def start(self, info):
        return {"a": tables.start_table(info, CLASSES)}


def test_a_checkpoint_is_read_into_the_file(tmp_path):
    slots = MemorySlots({"t": Remembering()}, info(TableFormat(mapped=True, folder=tmp_path)), slots=2)
    own, found = slots.slots[0]["t"]["a"], torch.rand(ROWS, CLASSES)
    assert slots.slots[1]["t"]["a"] is own
    slots.load([{"t": {"a": found}}] * 2)
    assert all(each["t"]["a"] is own for each in slots.slots)
    assert torch.equal(own, found)


@pytest.mark.parametrize("text", ["", "quarter", "half,half", "top", "top:0", "top:-1", "top:x", "full,half", "half:2"])
def test_formats_without_a_meaning_are_refused(text):
    with pytest.raises(UserError, match=r"cannot read .* of --memory .*; write full, half, mapped or top:K, or"):
        parse_format(text)


def test_formats_are_combined():
    assert parse_format("half, mapped,top:20") == TableFormat(half=True, top=20, mapped=True)
    assert parse_format("full") == TableFormat()

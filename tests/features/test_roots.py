"""The root of the trunk: the largest float input, or embedding of integers."""

import pytest
import torch
from torch import nn

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.features.trace import trace_modules
from tests.helpers.kinds import CLASSES, LABELS, ImageAndTable, bert, floats, texts
from tests.helpers.losses import seeded


def root(model, inputs):
    return trace_modules(model, inputs)[0].root


def stages(model, inputs):
    return [(each.path, tuple(each.shape)) for each in read_anatomy(model, inputs).stages]


class TableAndImage(ImageAndTable):
    def forward(self, table, image):
        return super().forward(image, table)


def test_the_image_beside_a_table_is_the_root_in_either_order():
    image, table = floats(3, 16, 16)(), floats(6)()
    assert root(ImageAndTable(), (image, table)).shape == root(TableAndImage(), (table, image)).shape == (2, 3, 16, 16)
    assert len(stages(ImageAndTable(), (image, table))) == 3
    assert stages(TableAndImage(), (table, image)) == stages(ImageAndTable(), (image, table))


BERT_STAGES = [
    ("bert.encoder.layer.0", (2, 12, 16)),
    ("bert.encoder.layer.1", (2, 12, 16)),
    ("bert.encoder", (2, 12, 16)),
]


def test_token_ids_begin_at_their_embedding():
    assert root(bert(), texts()).shape == (2, 12, 16)
    assert stages(bert(), texts()) == BERT_STAGES


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_a_mask_is_no_root(dtype):
    inputs = texts()
    masked = {"attention_mask": inputs["attention_mask"].to(dtype), "input_ids": inputs["input_ids"]}
    assert stages(bert(), masked) == BERT_STAGES


def test_embeddings_as_inputs_are_the_root():
    inputs = {"inputs_embeds": floats(12, 16)(), "attention_mask": texts()["attention_mask"]}
    assert stages(bert(), inputs) == BERT_STAGES


class Block(nn.Module):
    """A residual block over tokens that adds an embedding of the positions to its values."""

    def __init__(self, rows):
        super().__init__()
        self.position, self.layer, self.rows = nn.Embedding(64, 16), nn.Linear(16, 16), rows

    def forward(self, tokens):
        places = torch.arange(tokens.shape[1], device=tokens.device)
        places = places.expand(len(tokens), -1) if self.rows else places
        return tokens + self.layer(tokens + self.position(places)).relu()


class PositionsInEveryBlock(nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.embed, self.blocks = nn.Embedding(50, 16), nn.Sequential(*(Block(rows) for _ in range(3)))
        self.head = nn.Linear(16, CLASSES)

    def forward(self, ids):
        return self.head(self.blocks(self.embed(ids)).mean(dim=1))


@pytest.mark.parametrize("rows", [True, False])
def test_positions_of_later_blocks_are_no_root(rows):
    model = PositionsInEveryBlock(rows)
    assert [path for path, _ in stages(model, texts()["input_ids"])] == ["blocks.0", "blocks.1", "blocks"]


class RelativePositions(nn.Module):
    """T5's encoder, whose embedding of N² relative positions is larger than that of the texts."""

    def __init__(self):
        from transformers import T5Config, T5EncoderModel

        super().__init__()
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 3, "num_heads": 4}
        self.encoder = T5EncoderModel(T5Config(vocab_size=50, **sizes))
        self.head = nn.Linear(16, CLASSES)

    def forward(self, input_ids):
        return self.head(self.encoder(input_ids=input_ids).last_hidden_state.mean(dim=1))


def test_an_embedding_of_relative_positions_is_no_root():
    model, ids = RelativePositions(), torch.randint(1, 50, (8, 40))
    assert root(model, ids).shape == (2, 40, 16)
    assert [shape for _, shape in stages(model, ids)] == [(2, 40, 16)] * 3


class LookedUp(nn.Module):
    """Token ids looked up in a bare weight: no layer makes their embedding."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(50, 16))
        self.blocks = nn.Sequential(*(Block(rows=False) for _ in range(3)))
        self.head = nn.Linear(16, CLASSES)

    def forward(self, ids):
        return self.head(self.blocks(self.weight[ids]).mean(dim=1))


def test_ids_without_an_embedding_layer_have_no_stages():
    ids = texts()["input_ids"]
    found = read_anatomy(LookedUp(), ids)
    assert found.stages == ()
    assert (found.classifier, found.embedding) == ("head", (2, 16))
    with pytest.raises(UserError, match=r"byot\(\) .* but LookedUp has 0: .*integers.*nn.Embedding.*reads only logits"):
        sd.teach(LookedUp(), "byot()", ids)


@pytest.mark.parametrize("text", ["ce()", "kd()", "dsr() + csd()", "rkd()", "drg(tap='blocks.0')"])
def test_methods_without_stages_train_ids_without_an_embedding_layer(text):
    ids = texts()["input_ids"]
    networks = {role: seeded(LookedUp, 3) for role in sd.methods.parse_method(text).teachers}
    model = LookedUp()
    teach = sd.teach(model, text, ids, networks=networks)
    loss = teach(ids, LABELS)
    loss.backward()
    assert loss.isfinite()
    assert model.weight.grad.abs().sum() > 0

"""Tokens as rows."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.data.batch import Batch
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.step.tokens import SampledTokens, TokenRows
from tests.helpers.kinds import CLASSES, TOKEN_KINDS, ConvolutionalTagger, Tagger, bert, texts, token_labels
from tests.helpers.losses import seeded

IDS = TOKEN_KINDS["LSTM"].inputs()


def tagger(seed=0):
    torch.manual_seed(seed)
    return Tagger()


def labelled_bert(seed=0):
    return seeded(TOKEN_KINDS["BERT"].make, seed)


def test_a_tagger_is_read():
    found = read_anatomy(labelled_bert(), texts())
    assert ([each.path for each in found.stages], found.classifier, found.linear) == (
        ["bert.encoder.layer.0", "bert.encoder.layer.1", "bert"],
        "classifier",
        True,
    )
    assert (found.dense, found.logits, found.embedding) == (True, (2, 12, CLASSES), (2, 12, 16))


@pytest.mark.parametrize("text", ["ce()", "label_smoothing(smoothing=0.2)"])
@pytest.mark.parametrize("rows", [None, "tokens"])
def test_ce_is_cross_entropy_of_all_labelled_tokens(text, rows):
    model, inputs, labels = labelled_bert(), texts(), token_labels(255)
    loss = sd.teach(model, text, inputs, rows=rows, ignore_index=255)(inputs, labels)
    spread = 0.2 * CLASSES / (CLASSES - 1) if "smoothing" in text else 0.0
    logits = model(**inputs).logits.flatten(0, 1)
    assert_close(loss, F.cross_entropy(logits, labels.flatten(), ignore_index=255, label_smoothing=spread))


def test_focal_reads_the_labelled_tokens_alone():
    model, labels = tagger(), token_labels()
    loss = sd.teach(model, "focal(gamma=2.0)", IDS)(IDS, labels)
    known = labels != -100
    log_p = model(IDS)[known].log_softmax(dim=1).gather(1, labels[known][:, None])
    assert_close(loss, -((1 - log_p.exp()) ** 2 * log_p).mean(), rtol=1e-5, atol=1e-6)


def test_values_are_those_of_the_token():
    tokens, labels = torch.randn(8, 12, 6), torch.zeros(8, 12, 1, dtype=torch.int64)
    places = torch.tensor([0, 13, 95])
    chosen = SampledTokens(Batch(tokens, labels), places)
    assert_close(chosen.values(tokens), tokens.flatten(0, 1)[places])
    signal = torch.randn(8, 6, 5, 1)  # a convolution's stage may be shorter
    resized = F.interpolate(signal[..., 0], size=12, mode="linear", align_corners=False)
    assert_close(chosen.values(signal), resized.transpose(1, 2).flatten(0, 1)[places])


def test_an_exit_classifies_tokens():
    teach = sd.teach(labelled_bert(), "drg()", texts())
    teach(texts(), token_labels())
    guidance = teach.step.terms["guidance"]
    stage = teach.step._forward_student(texts()).features[guidance.taps[0]]
    labels = token_labels()
    logits = guidance.head.classify(guidance.head.norm(stage))[labels != -100]
    wanted = F.cross_entropy(logits, labels[labels != -100])
    assert_close(teach.losses["guidance.learn"], wanted, rtol=0.02, atol=0)  # of 4,096 draws among 63 tokens


def test_one_token_per_example_is_classification():
    torch.manual_seed(0)
    words = nn.Sequential(nn.Embedding(50, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    whole = nn.Sequential(nn.Embedding(50, 8), nn.Flatten(), nn.ReLU(), nn.Linear(8, CLASSES))
    whole.load_state_dict({name.replace("2.", "3."): each for name, each in words.state_dict().items()})
    labels = torch.arange(8) % CLASSES
    one, other = sd.teach(words, "ce()", IDS[:, :1]), sd.teach(whole, "ce()", IDS[:, :1])
    assert_close(one(IDS[:, :1], labels[:, None]), other(IDS[:, :1], labels), rtol=0, atol=0)


@pytest.mark.parametrize("text", ["ce()", "focal()", "drg() + dsr()", "kd()", "adacos()"])
def test_a_batch_without_labels_gives_zero_and_no_gradient(text):
    method = sd.methods.parse_method(text)
    networks = {role: labelled_bert(1) for role in method.teachers}
    teach = sd.teach(labelled_bert(), method, texts(), networks=networks)
    loss = teach(texts(), torch.full((8, 12), -100))
    loss.backward()
    assert loss == 0
    assert all(each.grad is None or (each.grad == 0).all() for each in teach.parameters())


def test_a_language_model_is_a_tagger_of_many_classes():
    model, inputs = bert("MaskedLM"), texts()
    model.eval()  # without dropout
    teach = sd.teach(model, "csd() + dsr()", inputs)
    model.train()
    chosen = torch.rand(8, 12, generator=torch.Generator().manual_seed(0)) < 0.3
    labels = torch.where(chosen, inputs["input_ids"], -100)
    inputs["input_ids"] = inputs["input_ids"].masked_fill(chosen, 3)
    assert (teach.step.anatomy.classifier, teach.step.rows.classes) == ("cls.predictions.decoder", 50)
    assert teach(inputs, labels).isfinite()


@pytest.mark.parametrize(("classes", "read"), [(5, 4096), (16_384, 4096), (50_257, 1335), (1_000_000, 256)])
def test_a_large_vocabulary_reads_fewer_tokens(classes, read):
    rows = TokenRows(replace(read_anatomy(tagger(), IDS), logits=torch.Size((2, 12, classes))))
    assert (rows.count(8), rows.compared(8)) == (read, 256)
    assert rows.shapes()["logits"] == (read, classes)


def test_labels_that_can_be_copied_are_told():
    model, inputs = bert("MaskedLM"), texts()
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    with pytest.warns(UserWarning, match=r"labels are the input ids .* BertForMaskedLM can copy; .* pass the next ids"):
        sd.teach(model, "ce()", inputs)(inputs, labels)
    following = labels.roll(-1, dims=1)
    following[:, -1] = -100
    sd.teach(model, "ce()", inputs)(inputs, following)


def test_memories_keep_a_fixed_number_of_tokens_while_lengths_change():
    teach = sd.teach(tagger(), "dsr(forget='never')", IDS)
    for length in (12, 7, 9):
        assert teach(IDS[:, :length], token_labels()[:, :length]).isfinite()
    assert teach.memories[0]["shape"][0].shape == (4096, CLASSES)


@pytest.mark.filterwarnings("ignore:.*every token has the same norm:UserWarning")
@pytest.mark.parametrize("text", ["ce()", "focal()", "dsr()", "drg() + dsr()", "scd()"])
def test_one_graph(text):
    torch.compiler.reset()
    teach = sd.teach(labelled_bert(), text, texts(), epochs=4, steps_per_epoch=2)
    compiled = torch.compile(teach, backend="eager", fullgraph=True)
    assert compiled(texts(), token_labels()).isfinite()


@pytest.mark.parametrize(
    ("labels", "answer"),
    [
        (torch.zeros(8, dtype=torch.int64), r"labels of tokens must be integers \[8, N\], .* pool the model's logits"),
        (torch.zeros(8, 12), r"labels of tokens must be integers \[8, N\], but these are float32"),
        (torch.zeros(8, 10, dtype=torch.int64), r"logits are those of 12 tokens, .* but the labels of 10; pad labels"),
        (torch.full((8, 12), 5), "labels of tokens must be from 0 to 4, or -100 where unknown, but these include 5"),
    ],
)
@pytest.mark.parametrize("text", ["ce()", "focal()"])
def test_other_labels_are_refused(text, labels, answer):
    teach = sd.teach(tagger(), text, IDS)
    with pytest.raises(UserError, match=answer):
        teach(IDS, labels)


def test_other_logits_are_refused():
    class Second(ConvolutionalTagger):
        def __init__(self):
            super().__init__()
            self.head = nn.Conv1d(12, CLASSES, 1)

        def forward(self, ids):
            return self.head(self.first(self.embed(ids).transpose(1, 2)).relu())

    with pytest.raises(
        UserError, match=r"Second gives logits \[2, 5, 12\], whose classes come second .* is Conv1d.*transpose"
    ):
        sd.teach(Second(), "ce()", IDS)
    with pytest.raises(UserError, match=r"rows='tokens' does not fit .* logits are \[2, 10\]"):
        sd.teach(sd.create("resnet8", classes=10), "ce()", torch.randn(2, 3, 32, 32), rows="tokens")
    with pytest.raises(UserError, match="task= is a loss of examples, but the model classifies tokens"):
        sd.teach(tagger(), "ce()", IDS, task=F.cross_entropy)


class WithClassToken(nn.Module):
    """A stage with a further token, which the logits do not have."""

    def __init__(self):
        super().__init__()
        self.embed, self.first = nn.Embedding(50, 8), nn.Linear(8, 8)
        self.second, self.head = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, CLASSES)

    def forward(self, ids):
        tokens = self.embed(ids)
        return self.head(self.second(self.first(torch.cat([tokens[:, :1], tokens], dim=1)))[:, 1:])


def test_a_stage_of_other_tokens_is_refused():
    with pytest.raises(UserError, match=r"drg\(\) classifies the tokens of .* but WithClassToken has \[2, 13, 8\]"):
        sd.teach(WithClassToken(), "drg()", IDS)

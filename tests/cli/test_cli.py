"""The command line: output, exit status and error messages."""

import re
import subprocess
import sys
from dataclasses import fields

import pytest

import selfdistill as sd
from selfdistill.cli.app import main
from selfdistill.cli.options import HELP, option_type
from selfdistill.data.sources import SOURCES
from selfdistill.train.config import RunConfig
from tests.helpers.image_files import class_folders

QUICK = ["--limit", "100", "--epochs", "1", "--batch-size", "32"]


def command(capsys, *words):
    """Exit status, standard output, standard error."""
    status = 0
    try:
        main(list(words))
    except SystemExit as stop:
        status = stop.code or 0
    return status, *capsys.readouterr()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "drg"
    main_quietly("train", "drg()", *QUICK, "--out", str(folder))
    return folder


def main_quietly(*words):
    with pytest.raises(SystemExit, match="^0$"):
        main(list(words))


def test_compare_prints_its_table_and_repeats_quickly(capsys, tmp_path):
    words = ("compare", "--methods", "ce()", "drg() + dsr()", "--seeds", "2", *QUICK, "--out", str(tmp_path / "s"))
    status, out, err = command(capsys, *words)
    assert (status, err) == (0, "")
    assert re.search(r"^method +top-1 % +against ce\(\) +p +verdict +detectable +added +time +n$", out, re.M)
    assert re.search(r"^drg\(\) \+ dsr\(\) +\d+\.\d\d ± \d+\.\d\d +[+-]\d+\.\d\d \[.*\] .* \d\.\d\dx +2$", out, re.M)
    assert f"study: {tmp_path / 's'}" in out
    assert "| drg() + dsr() |" in (tmp_path / "s" / "table.md").read_text()
    again, shown, _ = command(capsys, *words)
    assert again == 0
    assert "epoch" not in shown.split("method ")[0]
    assert shown.split("method ")[1] == out.split("method ")[1]


def test_a_failing_method_leaves_a_table_and_status_1(capsys, tmp_path):
    own = "tests.study.test_compare:fails()"
    status, out, err = command(
        capsys, "compare", "--methods", "ce()", own, "--seeds", "1", *QUICK, "--out", str(tmp_path)
    )
    assert status == 1
    assert "ce()" in out
    assert f"selfdistill: {own} failed: ArithmeticError: on purpose" in err


def test_train_evaluate_export(capsys, finished, tmp_path):
    status, out, _ = command(capsys, "evaluate", str(finished))
    assert status == 0
    assert re.search(r"top1 +\d+\.\d+", out)
    assert "359 test images of digits, drg(), resnet8, last epoch" in out
    for form in ("safetensors", "onnx", "torch-export"):
        status, out, _ = command(capsys, "export", str(finished), "--to", form, "--out", str(tmp_path / form))
        assert status == 0
        assert re.search(r"bytes; logits of test images of digits differ by \d.* at most \(tolerance ", out)
        assert re.search(r"^latency: [\d.]+ ms for one example, eager [\d.]+ ms \(\d+ thread", out, re.M)


def test_evaluate_computes_and_stores_the_named_metrics(capsys, finished):
    import json

    status, out, err = command(
        capsys, "evaluate", str(finished), "--metrics", "fgsm", "classes", "selective", "--epsilons", "1", "4"
    )
    assert (status, err) == (0, "")
    assert re.search(r"^fgsm 1/255 +\d+\.\d{4}$", out, re.M)
    assert re.search(r"^fgsm 4/255 +\d+\.\d{4}$", out, re.M)
    assert re.search(r"^class +images +top1 +precision +taken_for$", out, re.M)
    assert "top5" not in out
    command(capsys, "evaluate", str(finished), "--ood", "fake:classes=4,size=8")
    command(capsys, "evaluate", str(finished), "--data", "fake:classes=10,size=8", "--metrics", "selective")
    kept = json.loads((finished / "metrics.json").read_text())
    assert (kept["data"], kept["images"]) == ("digits", 359)
    assert {"fgsm", "classes", "selective", "accuracy", "balance", "calibration", "outside"} == set(kept["metrics"])
    assert kept["metrics"]["outside"]["data"] == "fake:classes=4,size=8"
    other = json.loads((finished / "metrics-fake-classes-10-size-8.json").read_text())
    assert (other["data"], list(other["metrics"])) == ("fake:classes=10,size=8", ["selective"])


def test_a_run_with_label_noise_is_evaluated_on_clean_labels(capsys, tmp_path):
    import json

    from selfdistill import data, metrics
    from selfdistill.train.networks import load_run

    main_quietly("train", "ce()", *QUICK, "--label-noise", "0.8", "--out", str(tmp_path))
    command(capsys, "evaluate", str(tmp_path), "--metrics", "knn", "--accelerator", "cpu")
    found = json.loads((tmp_path / "metrics.json").read_text())["metrics"]
    student, facts = load_run(tmp_path)
    assert facts["config"]["label_noise"] == 0.8
    assert found == metrics.evaluate(student, data.load("digits", limit=100), metrics="knn")
    assert found["knn"]["knn"] > 50


def test_evaluate_all(capsys, finished):
    from selfdistill.metrics import METRICS

    status, out, err = command(capsys, "evaluate", str(finished), "--metrics", "all", "--epsilons", "2")
    assert (status, err) == (0, "")
    assert re.search(r"^recall_at_1 +\d+\.\d{4}$", out, re.M)
    assert re.search(r"^corruption +1 +2 +3 +4 +5$", out, re.M)
    assert re.search(r"^jpeg_compression( +\d+\.\d{4}){5}$", out, re.M)
    assert re.search(r"^added_parameters +9,610$", out, re.M)
    assert "left out: outside (needs --ood DATA)" in out
    shown = command(capsys, "evaluate", "--help")[1]
    assert all(re.search(rf"\b{name}\b", shown) for name in METRICS)


def test_evaluate_refuses_unknown_names(capsys, finished):
    for words, answer in (
        (("--metrics", "pgdd"), "there is no metric 'pgdd'; did you mean 'pgd'? there are basic, all, accuracy"),
        (("--metrics", "outside"), "the metric outside compares with images of other classes; name them: --ood DATA"),
        (("--accelerator", "tpu"), "cannot evaluate on 'tpu'; this machine has cpu, auto"),
        (("--classifier", "nope", "--metrics", "spread"), "no module 'nope' that outputs logits"),
    ):
        status, _, err = command(capsys, "evaluate", str(finished), *words)
        assert status == 2
        assert err.startswith("selfdistill: ")
        assert answer in err
        assert err.count("\n") == 1


def test_evaluate_agrees_with_the_result(capsys, finished):
    import json

    result = json.loads((finished / "result.json").read_text())
    _, out, _ = command(capsys, "evaluate", str(finished))
    for name in ("top1", "top5", "nll", "ece"):
        assert re.search(rf"^{name} +{result[name]:.4f}$", out, re.M)


def test_plan(capsys):
    status, out, _ = command(capsys, "plan", "scd() + lightskd() + csd()", "--limit", "100")
    assert status == 0
    assert "anchor (grad): 1 forward, 1 backward" in out
    assert "stage2 = layer2 [B, 32, 4, 4]" in out
    assert "guidance: 9,610 parameters, for training only; the exported student has 78,042" in out
    assert "shape: [64, 10], one per rank, reset each epoch" in out
    assert "center: [10, 64], [10, 1], shared by all ranks" in out
    _, out, _ = command(
        capsys, "plan", "stkd() + scd()", "--model", "torchvision/resnet18", "--size", "32", "--limit", "100"
    )
    assert "anchor (grad) · teacher (no grad): 2 forward, 1 backward" in out
    assert "stage4: smaller than 2x2" in out
    assert "teacher: frozen (same architecture, trained first)" in out
    assert "mixing of 2 images per example · batch size of at least 2" in out
    assert "0.1 · task + 0.9 · virtual + 3 · similarity" in out
    _, out, _ = command(capsys, "plan", "sad(start=30)", "--epochs", "5", "--limit", "100")
    assert re.search(r"^ramp +next_attention: full weight after 30 epochs$", out, re.M)
    assert re.search(
        r"^note: the term 'next_attention' of sad\(start=30.0\) has its full weight only after 30 epochs", out, re.M
    )


def test_plan_tells_the_memory_for_all_training_images(capsys):
    _, out, _ = command(capsys, "plan", "ps_kd()", "--data", "fake:classes=10,size=8,train=64000,test=10")
    assert re.search(r"^memory +task: \[64000, 10\], 2 MiB, shared by all ranks$", out, re.M)
    _, out, _ = command(capsys, "plan", "ps_kd()", "--limit", "100")
    assert re.search(r"^memory +task: \[100, 10\], shared by all ranks$", out, re.M)


def test_plan_tells_the_memory_in_the_format_of_the_run(capsys):
    data = ("--data", "fake:classes=10,size=8,train=64000,test=10")
    _, out, _ = command(capsys, "plan", "ps_kd()", *data, "--memory", "half,mapped")
    assert "[64000, 10], 1 MiB, on the disk, shared by all ranks" in out
    _, out, _ = command(capsys, "plan", "ps_kd()", *data, "--memory", "top:2,half")
    assert "[64000, 2], [64000, 2], [64000, 1]" in out
    status, _, errors = command(capsys, "plan", "ps_kd()", "--limit", "100", "--memory", "top:10")
    assert status == 2
    assert "--memory top:10 keeps as many entries as the 10 classes have" in errors


def test_taps(capsys):
    status, out, _ = command(capsys, "taps", "--model", "timm/convnext_atto", "--size", "64")
    assert status == 0
    assert re.search(r"^stage4 +stages +\[B, 320, 2, 2\] channels first$", out, re.M)
    assert re.search(r"^classifier +head.fc$", out, re.M)
    _, out, _ = command(capsys, "taps", "--model", "timm/levit_128s", "--size", "224")
    assert "not found; pass --classifier" in out


def test_bench(capsys, tmp_path):
    import json

    small = ("--data", "fake:classes=4,size=8,train=40", "--model", "resnet8", "--batch-size", "16", "--rounds", "2")
    status, out, err = command(
        capsys, "bench", *small, "--methods", "drg()", "ddgsd()", "--out", str(tmp_path / "costs.json")
    )
    assert (status, err) == (0, "")
    assert re.search(r"^method +images/s +step +whole step +its quartiles +arithmetic +terms alone", out, re.M)
    assert re.search(r"^ce\(\) +\d+ +\d+\.\d ms +1\.000x +\[1\.000, 1\.000\] +1\.000x +1\.\d+x +1\.00x", out, re.M)
    assert re.search(r"^ce\(\) again .* 1\.000x", out, re.M)
    assert re.search(r"^ddgsd\(\) .*\] +2\.\d+x +\d\.\d+x", out, re.M)
    assert "resnet8, batches of 16, 1 thread(s)" in out
    stored = json.loads((tmp_path / "costs.json").read_text())
    assert [each["method"] for each in stored["costs"]] == ["ce()", "ce() again", "drg()", "ddgsd()"]
    assert stored["rounds"] == 2


def test_what_is_left_out_of_the_data_is_printed(capsys, tmp_path):
    root = class_folders(tmp_path / "data", {"train/a": 4, "train/b": 4, "test/a": 2, "test/b": 2})
    (root / "train" / "a" / "x.heic").write_bytes(b"another format")
    (root / "train" / "b" / "00.png").write_bytes(b"no image")
    words = ("--data", f"folder:{root}", "--epochs", "1", "--batch-size", "4", "--out", str(tmp_path / "out"))
    status, out, err = command(capsys, "train", "ce()", *words)
    assert (status, out) == (2, "")
    assert re.search(r"cannot read the image .*train/b/00.png: it has no known\s+image format", err)
    said = r"left out 1 file \(1 .heic\) .*train/a/x.heic\nskipped 1 unreadable image: .*train/b/00.png \(it has no"
    for name in (("train", "ce()"), ("compare", "--methods", "ce()", "--seeds", "2")):
        status, out, err = command(capsys, *name, "--skip-unreadable", *words[:-1], str(tmp_path / name[0]))
        assert (status, err) == (0, "")
        assert len(re.findall(said, out)) == 1
    status, out, err = command(capsys, "doctor", "--skip-unreadable", *words)
    assert command(capsys, "plan", "ce()", "--skip-unreadable", *words[:2])[0] == 0
    assert re.search(r"^note +data +skipped 1 unreadable image", out, re.M)
    assert re.search(r"^note +data +2 of 2 classes \(a, b\) have fewer than 5 training images", out, re.M)


def test_doctor(capsys, tmp_path):
    status, out, err = command(capsys, "doctor", "drg()", *QUICK, "--out", str(tmp_path / "run"))
    assert (status, err) == (0, "")
    assert re.search(r"^ok +model +resnet8, 78,042 parameters", out, re.M)
    assert re.search(r"^ok +disk +3 checkpoints need about", out, re.M)
    status, out, err = command(capsys, "doctor", "drg(tap='stage9')", *QUICK)
    assert (status, err) == (1, "")
    assert re.search(r"^change +method +.*nothing to tap at 'stage9'", out, re.M)
    assert not (tmp_path / "run").exists()


def test_cite_takes_a_name(capsys):
    assert command(capsys, "cite", "drg") == command(capsys, "cite", "drg()")


def test_methods_by_what_a_user_has(capsys):
    _, out, _ = command(capsys, "methods", "--cost", "--needs")
    assert re.search(r"^A teacher\. You have a trained network", out, re.M)
    assert re.search(r"^byot +1 \+ 0 +one exit per stage +reference +exit heads learn", out, re.M)
    _, out, _ = command(capsys, "methods", "--needs")
    assert re.search(r"^ps_kd +index +reference +the previous", out, re.M)
    assert re.search(r"^method +needs +evidence +idea$", out, re.M)


def test_methods_and_cite(capsys):
    _, out, _ = command(capsys, "methods")
    assert re.search(r"^scd +2023 +Shallow stages imitate", out, re.M)
    _, out, _ = command(capsys, "methods", "dsr")
    assert out.startswith("dsr(weight=1.0, temperature=4.0, forget='epoch')")
    assert "https://arxiv.org/abs/2305.09183" in out
    _, out, _ = command(capsys, "cite", "lightskd() + csd()")
    assert out.count("@") == 2
    assert out.startswith("@misc{wang2023lightweight,")
    _, out, _ = command(capsys, "cite", "ce()")
    assert out == "% ce() has no paper\n"


def test_version(capsys):
    assert command(capsys, "--version")[1].startswith("selfdistill 0.")


def test_help_does_not_load_torch():
    check = (
        "import sys; from selfdistill.cli import app\ntry: app.main(['compare', '--help'])\nexcept SystemExit: pass\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", check + "assert 'torch' not in sys.modules"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    for option in (
        "--data",
        "--model",
        "--methods",
        "--epochs",
        "--batch-size",
        "--seeds",
        "--limit",
        "--out",
        "--resume",
    ):
        assert option in run.stdout
    assert "--help-all" in run.stdout


def test_importing_the_package_does_not_load_torch():
    check = "import sys, selfdistill as sd; assert 'torch' not in sys.modules; sd.methods.drg(); sys.modules['torch']"
    assert subprocess.run([sys.executable, "-c", check], timeout=60).returncode == 0


def test_public_names():
    assert all(getattr(sd, name) is not None for name in sd.__all__)
    assert sd.evaluate is sd.metrics.evaluate
    assert "drg" not in sd.__all__
    with pytest.raises(AttributeError, match=r"no attribute 'drg'; the method is selfdistill\.methods\.drg"):
        sd.drg  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'nothing'$"):
        sd.nothing  # noqa: B018


def test_options_are_those_of_the_configuration():
    assert set(HELP) == {each.name for each in fields(RunConfig)} - {"method", "seed", "generation", "folds", "fold"}
    kind, text = option_type("precision")
    assert (kind, text) == (str, "Mixed precision: 32, bf16 or 16.")
    assert all(name in option_type("data")[1] for name in SOURCES)


def test_control_c_is_no_traceback(capsys, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("selfdistill.train.run.run", interrupt)
    status, _, err = command(capsys, "train", "ce()", *QUICK)
    assert status == 130
    assert "Traceback" not in err


WRONG = [
    (["train", "lightsk()"], "there is no method 'lightsk'; did you mean lightskd"),
    (
        ["train", "drg(beta=1)"],
        "got an unexpected keyword argument 'beta'; its arguments are drg(tap='stage2', alpha=0.2",
    ),
    (["train", "drg("], "cannot read the method 'drg('"),
    (["train", "drg(alpha='x')"], "drg: alpha must be a number of 0 or more, but is 'x'"),
    (["train", "ce()", "--augment", "strong"], "augment must be auto, none, cifar, light, imagenet; or one with a"),
    (["train", "ce()", "--crop-scale", "half"], "--crop-scale is two areas; write them as 0.08,1, but found 'half'"),
    (["train", "ce()", "--model", "resnet21"], "there is no model 'resnet21' (nearest: resnet32"),
    (["train", "ce()", "--model", "timm/resnet18x"], "resnet18"),
    (["train", "ce()", "--data", "digit"], "there is no data source 'digit'; did you mean 'digits'?"),
    (["train", "ce()", "--data", "folder:/nowhere/at/all"], "there is no folder '/nowhere/at/all'"),
    (["train", "ce()", "--data", "parquet:/nowhere/at/all"], "there is no folder '/nowhere/at/all'"),
    (["train", "kd(teacher='runs/nobody')"], "the teacher 'runs/nobody' is neither the folder of a run nor a model"),
    (["train", "ce()", "--model", "mobilenetv2"], "images of 8x8 pixels are too small for mobilenetv2"),
    (["train", "scd()", "--batch-size", "1"], "needs at least 2, but a batch has 1; pass a larger --batch-size"),
    (["train", "mixup() + csd()"], "mixup() mixes the images of each batch, and csd() reads whole images"),
    (["train", "drg() + drg()"], "both have the term 'guidance'"),
    (["train", "drg(tap='stage9')"], "nothing to tap at 'stage9'; its stages are stage1"),
    (["train", "ce()", "--epochs", "0"], "epochs must be above 0, but is 0"),
    (["train", "ce()", "--limit", "5"], "5 training images cannot hold one of each of 10 classes"),
    (["train", "ce()", "--weights", "/nowhere.safetensors"], "/nowhere.safetensors"),
    (["train", "ce()", "--milestones", "half"], "--milestones are fractions of the run; write them as 0.5,0.75"),
    (["train", "ce()", "--label-noise", "1"], "label noise must be a fraction from 0 to below 1, but is 1.0"),
    (["compare", "--seeds", "0"], "seeds must be 1 or more"),
    (["evaluate", "/nowhere"], "holds no run (no run.json) and no study (no study.json); name the folder that train"),
    (["export", "/nowhere", "--to", "onnx"], "holds no run (no run.json)"),
    (["methods", "drgg"], "there is no method 'drgg'"),
    (["bench", "--rounds", "1"], "rounds must be 2 or more, but is 1"),
    (["bench", "--methods", "drgg()"], "there is no method 'drgg'"),
    (["taps", "--classifier", "nope"], "no module 'nope' that outputs logits"),
]


@pytest.mark.parametrize(("words", "answer"), WRONG, ids=lambda each: " ".join(each) if isinstance(each, list) else "")
def test_mistakes_give_a_one_line_message(capsys, tmp_path, monkeypatch, words, answer):
    monkeypatch.chdir(tmp_path)
    status, _, err = command(capsys, *words)
    assert status == 2
    assert err.startswith("selfdistill: ")
    assert answer in err
    assert "Traceback" not in err
    assert err.count("\n") <= 2


def test_another_run_in_the_folder(capsys, finished):
    status, _, err = command(capsys, "train", "dsr()", *QUICK, "--out", str(finished))
    assert status == 2
    assert "holds a run with another method; choose another --out" in err


def test_unknown_options_are_refused(capsys):
    status, _, err = command(capsys, "train", "ce()", "--epoch", "3")
    assert status == 2
    assert "--epochs" in err
    assert "Traceback" not in err


def test_a_teacher_of_other_classes(capsys, finished, tmp_path):
    words = ("train", f"kd(teacher={str(finished)!r})", "--data", "fake:classes=4,size=8", "--out", str(tmp_path / "x"))
    status, _, err = command(capsys, *words)
    assert status == 2
    assert "has 10 classes, but fake:classes=4,size=8 has 4" in err


def test_the_command_as_a_process(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "selfdistill", "train", "nothing()"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert run.returncode == 2
    assert run.stderr.startswith("selfdistill: there is no method 'nothing'")
    assert "Traceback" not in run.stderr

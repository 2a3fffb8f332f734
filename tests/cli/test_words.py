"""Values of options that no command can take: exit status 2 and a line."""

import pytest

from tests.cli.test_cli import command

DATA = ("--data", "fake:classes=2,size=8,train=16,test=8", "--epochs", "1", "--batch-size", "8")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("--out", ""), "--out has an empty value; pass a value, or omit --out"),
        (("--out=",), "--out has an empty value"),
        (("--weights", ""), "--weights has an empty value"),
        (("--seed", str(2**64)), "seed must be from 0 to 9,223,372,036,854,775,807, but is 18446744073709551616"),
        (("--seed", "-1"), "seed must be from 0 to"),
        (("--limit", str(2**40)), "limit must be below 2,147,483,648, but is 1099511627776"),
        (("--save-every", "nan"), "save every must be 0 seconds or more, but is nan"),
        (("--save-every", "-1"), "save every must be 0 seconds or more, but is -1.0"),
        (("--nodes", "2"), "2 nodes need a launcher, and this process has none: start the command with torchrun or"),
        (("--out", "n" * 300), "File name too long"),
        (("--out", "x/" + "n" * 300), "File name too long"),
        (("--weights", "n" * 300), "File name too long"),
        (("--model", "wrn-1000000000000-1"), "there is no model 'wrn-1000000000000-1'"),
        (("--model", f"wrn-{'9' * 5000}-1", "--out", "x"), "there is no model"),
        (("--lr", "inf"), "lr must be a number, but is inf"),
    ],
)
def test_a_value_that_no_run_can_have(capsys, tmp_path, monkeypatch, words, answer):
    monkeypatch.chdir(tmp_path)
    for name in ("MASTER_ADDR", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    status, _, err = command(capsys, "train", "ce()", *DATA, *words)
    assert status == 2
    assert answer in err
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    "words",
    [
        ("report", "n" * 300),
        ("evaluate", "n" * 300),
        ("export", "n" * 300),
        ("study", "n" * 300),
        ("doctor", "--data", f"folder:{'n' * 300}"),
        ("train", "ce()", "--data", f"folder:{'n' * 300}"),
        ("train", "ce()", "--data", f"parquet:{'n' * 300}"),
        ("train", "ce()", "--data", "n" * 300),
        ("train", f"kd(teacher='{'n' * 300}')", *DATA),
        ("train", "ce(\udcff)", *DATA),
    ],
)
def test_a_path_that_the_system_refuses(capsys, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    status, out, err = command(capsys, *words)
    assert status == (1 if words[0] == "doctor" else 2)
    assert err.startswith("selfdistill: ") or "change" in out
    assert "Traceback" not in err

"""The GPU campaign at toy size: parcels, slices of which one is killed, and the page."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "studies/gpu/campaign.py"
sys.path.insert(0, str(SCRIPT.parent))

from collecting import finished_items, read_results  # noqa: E402  # scripts beside the campaign, no package
from travel import CHUNK, chunks_of, filled, pack, unpack  # noqa: E402


def command(*words, **options):
    return subprocess.run([sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True, **options)


@given(st.lists(st.integers(0, 3 * CHUNK), max_size=6), st.integers(CHUNK, 3 * CHUNK))
def test_chunks_cover_every_byte_once_within_the_limit(sizes, limit):
    class Sized:
        def __init__(self, size):
            self.st_size = size

        def stat(self):
            return self

    files = {f"{k}.bin": Sized(size) for k, size in enumerate(sizes)}
    parcels = list(filled(files, limit))
    assert all(sum(chunk.size for chunk in parcel) <= limit for parcel in parcels)
    chunks = [chunk for parcel in parcels for chunk in parcel]
    assert chunks == list(chunks_of(files))
    for name, file in files.items():
        own = [chunk for chunk in chunks if chunk.path == name]
        assert sum(chunk.size for chunk in own) == file.st_size
        assert [chunk.start for chunk in own] == [k * CHUNK for k in range(len(own))]


def test_parcels_arrive_in_any_order(tmp_path):
    (tmp_path / "large.bin").write_bytes(bytes(range(256)) * (9 * 2**20 // 256))
    (tmp_path / "empty.bin").write_bytes(b"")
    files = {f"data/{name}": tmp_path / name for name in ("large.bin", "empty.bin")}
    parcels = pack(files, tmp_path / "parcels", 2 * CHUNK)
    assert len(parcels) == 3
    assert unpack(parcels[1:], tmp_path / "there") == ["data/empty.bin"]
    assert unpack(parcels[:1], tmp_path / "there") == ["data/large.bin", "data/empty.bin"]
    assert (tmp_path / "there/data/large.bin").read_bytes() == (tmp_path / "large.bin").read_bytes()
    with pytest.raises(ValueError, match="allow 8388608 at least"):
        pack(files, tmp_path / "small", CHUNK)


def test_a_line_cut_short_is_left_out(tmp_path):
    line = json.dumps({"item": "bench", "values": {"finished": True}})
    (tmp_path / "slice-1.jsonl").write_text(f"{line}\n{line[:20]}")
    assert finished_items(read_results(tmp_path)) == {"bench"}


@pytest.mark.slow
def test_slices_of_which_one_is_killed(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/labels.txt").write_text("no Parquet file: the toy items train on digits")
    packed = command("prepare", "--data", tmp_path / "data", "--parcels", tmp_path / "parcels", "--no-wheels")
    assert "1: 0.0 MiB" in packed.stdout, packed.stderr
    own = ["--parcels", tmp_path / "parcels/1", "--work", tmp_path / "work", "--items", "toy"]
    first = ["slice", *own, "--results", tmp_path / "results", "--minutes", "5"]
    killed = subprocess.Popen([sys.executable, SCRIPT, *map(str, first)], stdout=subprocess.DEVNULL)
    while not any('"study"' in path.read_text() for path in tmp_path.glob("results/*.jsonl")):
        assert killed.poll() is None, "the slice ended before it was killed"
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    known = read_results(tmp_path / "results")
    assert finished_items(known) == {"cuda-tests", "loops", "bench", "sharing"}
    made = {name for each in known for name in each["values"].get("files", {}) if name.endswith("result.json")}
    for _ in range(2):
        done = command("slice", *own, "--results", tmp_path / "results", "--minutes", "1")
        assert done.returncode == 0, done.stderr
    assert done.stdout == ""  # everything is done
    again = [each for each in read_results(tmp_path / "results") if "study" in each["values"]]
    files = [name for each in again for name in each["values"]["files"] if name.endswith("result.json")]
    assert len(files) == len(set(files)) == 8 > len(made)  # no finished run is made again
    collected = command("collect", "--results", tmp_path / "results", "--to", tmp_path / "page")
    assert collected.returncode == 0, collected.stderr
    page = (tmp_path / "page/README.md").read_text()
    for word in ("# Measured on a GPU", "## Tests", "skipped", "## loops", "## bench", "## digits", "csd()"):
        assert word in page
    assert (tmp_path / "page/digits/report.html").is_file()

"""Data larger than memory: resident memory, time to the first step, and images a second.

    python benchmarks/large.py parquet --gigabytes 4
    python benchmarks/large.py wds --gigabytes 4
    python benchmarks/large.py folder --files 1300000

A set is made below `--root` and removed at the end: Parquet files or tar shards of JPEG images, each with noise bytes
after its end that make it larger and unlike all others, or 1,000 class folders of hard links to a few tiny images.
Processes of their own start on it, the first with an empty cache; each makes `--steps` steps at the start and at the
end of an epoch (of all its steps with `--whole`), and prints the peak of its resident memory: in all, and without
mapped files.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 1000
PICTURES = 40  # distinct ones; a file of ext4 has 65,000 links at most
SHARD = 2**29  # bytes of a file or shard


def options() -> argparse.Namespace:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("layout", choices=["parquet", "wds", "folder"])
    read.add_argument("--gigabytes", type=float, default=4, help="size of the files or shards")
    read.add_argument("--kilobytes", type=int, default=100, help="size of an image in it")
    read.add_argument("--files", type=int, default=1_300_000, help="files of the folder")
    read.add_argument("--root", type=Path, default=Path(tempfile.gettempdir()), help="where the set is made")
    read.add_argument("--starts", type=int, default=2)
    read.add_argument("--steps", type=int, default=100, help="at each end of the epoch")
    read.add_argument("--whole", action="store_true", help="all steps of the epoch")
    read.add_argument("--child", help=argparse.SUPPRESS)
    return read.parse_args()


def picture(seed: int, side: int, form: str) -> bytes:
    drawn = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(drawn).save(file, form)
    return file.getvalue()


def cells_and_parts(asked: argparse.Namespace) -> tuple[Callable[[int], bytes], list[range]]:
    """Return the encoded image of a row, and the rows of each file."""
    size = asked.kilobytes * 1000
    images = int(asked.gigabytes * 1e9) // size
    pictures, noise = [picture(k, 32, "JPEG") for k in range(PICTURES)], np.random.default_rng(0)

    def cell(row: int) -> bytes:
        start = pictures[row % PICTURES]
        return start + noise.bytes(size - len(start))

    each, shards = SHARD // size, -(-images * size // SHARD)
    return cell, [range(k * each, min((k + 1) * each, images)) for k in range(shards)]


def write_parquet(root: Path, asked: argparse.Namespace) -> str:
    """Write the set, a shard at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    cell, parts = cells_and_parts(asked)

    def write(name: str, rows: Iterable[int]) -> None:
        kept = list(rows)
        cells = pa.array([{"bytes": cell(row)} for row in kept], pa.struct([("bytes", pa.binary())]))
        made = pa.table({"image": cells, "label": [row % CLASSES for row in kept]})
        pq.write_table(made, root / name, row_group_size=1000, compression="none")

    for shard, rows in enumerate(parts):
        write(f"train-{shard:05}-of-{len(parts):05}.parquet", rows)
    write("test-00000-of-00001.parquet", range(CLASSES))
    return f"parquet:{root}"


def write_wds(root: Path, asked: argparse.Namespace) -> str:
    """Write the set as tar shards."""
    cell, parts = cells_and_parts(asked)

    def write(name: str, rows: Iterable[int]) -> None:
        with tarfile.open(root / name, "w") as shard:
            for row in rows:
                for ending, content in (("jpg", cell(row)), ("cls", str(row % CLASSES).encode())):
                    member = tarfile.TarInfo(f"{row:08}.{ending}")
                    member.size = len(content)
                    shard.addfile(member, io.BytesIO(content))

    for shard, rows in enumerate(parts):
        write(f"train-{shard:05}.tar", rows)
    write("test-00000.tar", range(CLASSES))
    return f"wds:{root}/train-*.tar?test=test-00000.tar"


def write_folder(root: Path, asked: argparse.Namespace) -> str:
    """Write class folders of links."""
    originals = []
    (root.parent / "originals").mkdir()
    for k in range(PICTURES):
        originals.append(root.parent / "originals" / f"{k}.png")
        originals[-1].write_bytes(picture(k, 8, "PNG"))
    for name in range(CLASSES):
        for split, count in (("train", asked.files // CLASSES), ("test", 1)):
            folder = root / split / f"n{name:08}"
            folder.mkdir(parents=True)
            for k in range(count):
                os.link(originals[(name + k) % PICTURES], folder / f"n{name:08}_{k:05}.png")
    return f"folder:{root}"


class Memory(threading.Thread):
    """Largest resident memory of this process without mapped files, sampled."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.anonymous = 0

    def run(self) -> None:
        """Sample until the process ends."""
        while True:
            self.anonymous = max(self.anonymous, status("RssAnon"))
            time.sleep(0.02)


def status(key: str) -> int:
    """Bytes of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def child(spec: str, asked: argparse.Namespace) -> None:
    """Train on a set and print a line."""
    begun = time.perf_counter()
    memory = Memory()
    memory.start()
    import torch
    import torch.nn.functional as F

    import selfdistill as sd
    from selfdistill.data.kinds import augmentation_for, training_loader
    from selfdistill.models import create

    splits = sd.data.load(spec, decode="stream", size=8 if asked.layout == "folder" else 32, on_note=print)
    loaded = time.perf_counter() - begun
    loader = training_loader(splits.train, 128, augment=augmentation_for(splits, None))
    model = create("resnet8", CLASSES, size=32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def train(start: int, steps: int) -> float:
        """Train from a step on; return images a second."""
        count, since = 0, time.perf_counter()
        for batch in loader.epoch(0, start):
            optimizer.zero_grad()
            F.cross_entropy(model(batch.inputs), batch.labels).backward()
            optimizer.step()
            count += len(batch.labels)
            if (steps := steps - 1) <= 0:
                break
        return count / (time.perf_counter() - since)

    train(0, 1)
    first = time.perf_counter() - begun
    speed = train(0, asked.steps)
    if asked.whole:
        train(0, len(loader))
    last = train(len(loader) - asked.steps, asked.steps)
    print(
        f"{len(splits.train)} images: loaded after {loaded:.1f} s, first step after {first:.1f} s; "
        f"{speed:.0f} images a second at the start, {last:.0f} at the end; "
        f"peak {status('VmHWM') / 2**30:.2f} GiB, {memory.anonymous / 2**30:.2f} GiB without mapped files"
    )


def main() -> None:
    asked = options()
    if asked.child:
        return child(asked.child, asked)
    top = Path(tempfile.mkdtemp(dir=asked.root))
    root = top / "set"
    root.mkdir()
    try:
        begun = time.perf_counter()
        spec = {"parquet": write_parquet, "wds": write_wds, "folder": write_folder}[asked.layout](root, asked)
        print(f"made in {time.perf_counter() - begun:.0f} s", flush=True)
        environment = {**os.environ, "SELFDISTILL_CACHE": str(top / "cache")}
        for start in range(asked.starts):
            print(f"start {start + 1}", flush=True)
            subprocess.run([sys.executable, *sys.argv, "--child", spec], check=True, env=environment)
        held = sum(each.stat().st_size for each in (top / "cache").rglob("*") if each.is_file())
        print(f"the cache holds {held / 2**20:.0f} MiB")
    finally:
        shutil.rmtree(top)


if __name__ == "__main__":
    main()

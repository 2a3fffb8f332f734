"""A GPU campaign in slices: what is worth measuring on one GPU, most valuable first, each slice complete in itself.

    python studies/gpu/campaign.py prepare --data ../data/cifar100              # here
    python studies/gpu/campaign.py slice --parcels build/gpu/1 --results out    # on the GPU machine, repeatedly
    python studies/gpu/campaign.py collect                                      # here

A slice appends one line of JSON per finished item to a file of its own in the results folder and stops by itself. An
interrupted slice loses the run in flight, nothing else.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from collecting import finished_items, read_results, write_page
from items import ROOT, SETS, Item, Place, restored, to_line
from travel import pack, unpack

MIB = 2**20
LACKING = ("lightning-fabric",)  # packages that a machine with PyTorch does not have as a rule
NEEDED = ("lightning_fabric", "torch", "torchvision", "timm", "torchmetrics", "safetensors", "pyarrow", "typer")


def prepare(data: Path, parcels: Path, limit: int, results: Path, wheels: bool) -> None:
    """Pack data, wheels and the results so far into parcels of at most `limit` MiB."""
    files = {f"data/{path.relative_to(data)}": path for path in sorted(data.rglob("*")) if path.is_file()}
    files |= {f"results/{path.name}": path for path in sorted(results.glob("*.jsonl"))}
    if wheels:
        files |= {f"wheels/{path.name}": path for path in download(parcels.with_name(parcels.name + "-wheels"))}
    made = pack(files, parcels, limit * MIB)
    sizes = (sum(path.stat().st_size for path in each.iterdir()) / MIB for each in made)
    print("\n".join(f"{each}: {size:.1f} MiB" for each, size in zip(made, sizes, strict=True)))


def download(folder: Path) -> list[Path]:
    """Wheels of what the other machine lacks; they are of any platform."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), *LACKING]
    subprocess.run(command, check=True)
    return sorted(folder.glob("*.whl"))


def run_slice(work: Path, parcels: Sequence[Path], results: Path, minutes: float, items: Sequence[Item]) -> None:
    """Take the next unfinished items until no further one fits into the minutes."""
    ends = time.monotonic() + 60 * minutes
    unpack(parcels, work)
    install(work / "wheels")
    known = [*read_results(work / "results"), *read_results(results)]
    restore_studies(known, work)
    log = results / f"slice-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.jsonl"
    results.mkdir(parents=True, exist_ok=True)
    done = finished_items(known)
    for item in items:
        left = (ends - time.monotonic()) / 60
        if item.name not in done and item.minutes <= left:
            print(f"{item.name}: {left:.1f} minutes left", flush=True)
            work_on(item, data_of(work), work, ends, log)


def work_on(item: Item, data: str, work: Path, ends: float, log: Path) -> None:
    """Run an item and keep its results, or its error if it fails."""
    start = time.monotonic()

    def emit(values: dict[str, Any]) -> None:
        seconds = round(time.monotonic() - start, 1)
        append(log, {"item": item.name, "seconds": seconds, "values": {"finished": True, **values}, **machine()})

    try:
        emit(item.run(Place(data, work, ends, emit)))
    except Exception as error:  # the items after it are worth having
        emit({"error": f"{type(error).__name__}: {error}"[-2000:], "finished": False})


def append(log: Path, values: dict[str, Any]) -> None:
    """Add a result, on the disk before the next item begins."""
    with log.open("a") as file:
        file.write(to_line(values))
        file.flush()
        os.fsync(file.fileno())


def machine() -> dict[str, str]:
    """The device and the versions that a result was measured with."""
    import torch

    name = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else str(name or platform.machine())
    return {"device": card, "torch": torch.__version__, "python": platform.python_version(), "commit": commit()}


def commit() -> str:
    """The commit of the source, where it is a checkout."""
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def install(wheels: Path) -> None:
    """Put wheels that have travelled beside this machine's packages, where one of these is missing."""
    for wheel in sorted(wheels.glob("*.whl")):
        sys.path.append(str(wheel))  # a wheel of plain Python is a ZIP archive that can be imported from
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), *map(str, sorted(wheels.glob("*.whl")))])
    sys.path.insert(0, str(ROOT / "src"))


def restore_studies(known: Iterable[dict[str, Any]], work: Path) -> None:
    """Write back the records of studies that earlier slices began."""
    for result in known:
        if "study" in result["values"]:
            restored(work / "studies" / result["values"]["study"], result["values"]["files"])


def data_of(work: Path) -> str:
    """The data that have arrived, as of `--data`; digits, which need no file, where there are none."""
    return f"parquet:{work / 'data'}" if any((work / "data").glob("*.parquet")) else "digits"


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("prepare", help="pack what must travel into parcels")
    packing.add_argument("--data", type=Path, required=True, help="folder of Parquet files of CIFAR-100")
    packing.add_argument("--parcels", type=Path, default=Path("build/gpu"))
    packing.add_argument("--limit", type=int, default=50, help="MiB per parcel")
    packing.add_argument("--results", type=Path, default=Path("docs/studies/gpu/results"), help="what is done so far")
    packing.add_argument("--no-wheels", action="store_true", help="the other machine has every package")
    slicing = commands.add_parser("slice", help="run the next items for some minutes")
    slicing.add_argument("--parcels", type=Path, nargs="*", default=[])
    slicing.add_argument("--work", type=Path, default=Path("build/gpu-work"))
    slicing.add_argument("--results", type=Path, required=True)
    slicing.add_argument("--minutes", type=float, default=8)
    slicing.add_argument("--items", choices=SETS, default="gpu")
    collecting = commands.add_parser("collect", help="merge results into a page and tables")
    collecting.add_argument("--results", type=Path, default=Path("docs/studies/gpu/results"))
    collecting.add_argument("--to", type=Path, default=Path("docs/studies/gpu"))
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    asked = options()
    if asked.command == "prepare":
        prepare(asked.data, asked.parcels, asked.limit, asked.results, not asked.no_wheels)
    elif asked.command == "slice":
        run_slice(asked.work, asked.parcels, asked.results, asked.minutes, SETS[asked.items]())
    else:
        write_page(asked.results, asked.to)


if __name__ == "__main__":
    main()

"""Digests of finished runs, to show that a change of the code changed no bit of training.

    selfdistill compare --methods all --data digits --epochs 2 --seeds 1 --out before   # at the old commit
    selfdistill compare --methods all --data digits --epochs 2 --seeds 1 --out after    # at the new commit
    python benchmarks/digests.py before > before.tsv
    python benchmarks/digests.py after | diff before.tsv -

One line per run: the method, SHA-256 of its student's weights, SHA-256 of its log without timings.
"""

import hashlib
import json
import sys
from pathlib import Path

TIMINGS = {"seconds", "images_per_second"}


def weights_digest(run: Path) -> str:
    return hashlib.sha256((run / "student.safetensors").read_bytes()).hexdigest()


def log_digest(run: Path) -> str:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    kept = [{key: value for key, value in row.items() if key not in TIMINGS} for row in rows]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def digests(study: Path) -> list[str]:
    runs = [path.parent for path in study.rglob("run.json")]
    methods = {run: json.loads((run / "run.json").read_text())["config"]["method"] for run in runs}
    return sorted(f"{methods[run]}\t{weights_digest(run)}\t{log_digest(run)}" for run in runs)


if __name__ == "__main__":
    print("\n".join(digests(Path(sys.argv[1]))))

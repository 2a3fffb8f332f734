"""Results of slices, merged into a page, tables and reports."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from items import restored

Result = dict[str, Any]


def read_results(folder: Path) -> list[Result]:
    """All results in a folder, oldest first. A last line that an interruption cut short is left out."""
    return [result for path in sorted(folder.glob("*.jsonl")) for result in lines(path)]


def lines(path: Path) -> Iterator[Result]:
    """The results of one slice."""
    for line in path.read_text().splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


def finished_items(results: Iterable[Result]) -> set[str]:
    """Names of the items that need no further slice."""
    return {result["item"] for result in results if result["values"]["finished"]}


def write_page(results: Path, target: Path) -> None:
    """Write README.md with the tables of all results, and a report of each study, into a folder."""
    known = read_results(results)
    target.mkdir(parents=True, exist_ok=True)
    studies = write_studies(known, target)
    parts = ["# Measured on a GPU", machines(known), *tests(known), *speeds(known), *costs(known), *others(known)]
    parts += [f"## {name}\n\n[Report]({name}/report.html)\n\n{table}" for name, table in studies.items()]
    (target / "README.md").write_text("\n\n".join(parts) + "\n")


def machines(results: Sequence[Result]) -> str:
    """Each card and its versions, with the number of results measured there."""
    keys = ("device", "torch", "python", "commit")
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    for result in results:
        counts[tuple(result[key] for key in keys)] += 1
    rows = [(*key, str(count)) for key, count in counts.items()]
    command = "Command: `python studies/gpu/campaign.py slice`; see [the campaign](../../../studies/gpu/README.md)."
    return f"{command}\n\n{markdown((*keys, 'results'), rows)}"


def latest(results: Sequence[Result], key: str) -> dict[str, Result]:
    """The last result of each item whose values hold this key."""
    return {result["item"]: result for result in results if key in result["values"]}


def tests(results: Sequence[Result]) -> Iterator[str]:
    """Outcomes of the tests that need a GPU."""
    for result in latest(results, "passed").values():
        values = result["values"]
        skipped = sorted(set(values["skipped"].values()))
        text = f"{values['passed']} passed, {values['failed']} failed, {len(values['skipped'])} skipped."
        reasons = [f"Skipped: {each}" for each in skipped]
        bad = [f"Failed: `{name}`: {text}" for kind in ("failure", "error") for name, text in values[kind].items()]
        yield "\n\n".join(["## Tests", text, *reasons, *bad])


def speeds(results: Sequence[Result]) -> Iterator[str]:
    """Images per second of loops side by side."""
    for name, result in latest(results, "sides").items():
        sides = [(side["label"], median(side["images/s"])) for side in result["values"]["sides"]]
        rows = [(label, f"{speed:,.0f}", f"{speed / sides[0][1]:.2f}x") for label, speed in sides]
        yield f"## {name}\n\n{markdown(('loop', 'images/s', 'ratio'), rows)}"


def costs(results: Sequence[Result]) -> Iterator[str]:
    """Costs of methods beside cross-entropy, by item."""
    for name, result in latest(results, "costs").items():
        rows = [tuple(short(value) for value in cost.values()) for cost in result["values"]["costs"]]
        yield f"## {name}\n\n{markdown(tuple(result['values']['costs'][0]), rows)}"


def others(results: Sequence[Result]) -> Iterator[str]:
    """Runs that share a device, and the items that failed."""
    for name, result in latest(results, "runs").items():
        if seconds := result["values"].get("seconds"):
            rows = [(count, f"{value:.0f}") for count, value in seconds.items()]
            yield f"## {name}\n\n{result['values']['runs']} runs\n\n{markdown(('processes', 'seconds'), rows)}"
    done = finished_items(results)
    if failed := {name: each for name, each in latest(results, "error").items() if name not in done}:
        rows = [(name, result["values"]["error"].splitlines()[0][:200]) for name, result in failed.items()]
        yield f"## Not measured\n\n{markdown(('item', 'error'), rows)}"


def write_studies(results: Sequence[Result], target: Path) -> dict[str, str]:
    """Write the report of each study that has a finished run; give their tables."""
    from selfdistill.report import write
    from selfdistill.study.load import load

    files: dict[str, dict[str, str]] = defaultdict(dict)
    for result in results:
        if "study" in result["values"]:
            files[result["values"]["study"]] |= result["values"]["files"]
    tables = {}
    for name, texts in files.items():
        with TemporaryDirectory() as folder:
            restored(Path(folder), texts)
            write([load(folder)], target / name, pictures=[], links=False)  # figures need weights, which stay behind
        tables[name] = (target / name / "table.md").read_text()
    return tables


def short(value: Any) -> str:
    """A cell: numbers to three digits, quartiles by their median."""
    if isinstance(value, dict | list | tuple):
        numbers = list(value.values()) if isinstance(value, dict) else list(value)
        return short(numbers[len(numbers) // 2]) if numbers else ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    body = ["| " + " | ".join(row).replace("\n", " ") + " |" for row in rows]
    return "\n".join(["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *body])

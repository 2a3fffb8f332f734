"""Split of an epoch's order into batches, and of each batch over ranks."""

from selfdistill.errors import UserError


def fitting_batch_size(batch_size: int, rows: int, ranks: int) -> int:
    """Return the batch size of all ranks together, at most the number of rows.

    Raises `UserError` for a batch that cannot be split evenly over the ranks, or fewer rows than ranks.
    """
    if batch_size < 1 or batch_size % ranks:
        raise UserError(
            f"a batch of {batch_size} cannot be split evenly over {ranks} process(es); use a multiple of {ranks}"
        )
    if rows < ranks:
        raise UserError(f"{rows} training images are too few for {ranks} processes; start fewer")
    return min(batch_size, rows // ranks * ranks)


def rank_slice(step: int, batch_size: int, rows: int, rank: int, ranks: int) -> slice:
    """Return the slice of an epoch's order with a rank's rows of a step; the last batch may be smaller."""
    first = step * batch_size
    share = min(batch_size, rows - first) // ranks
    return slice(first + rank * share, first + (rank + 1) * share)

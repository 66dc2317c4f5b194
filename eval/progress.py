"""The progress bar of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from eval.results import Result


class Progress:
    """A bar with the running gIoU of the group that is asked, and the time left."""

    def __init__(self, name: str, total: int, *, show: bool = True) -> None:
        """Open the bar.

        Args:
            name: Stands before it.
            total: How many pictures there are.
            show: Whether it is drawn.
        """
        self._bar = tqdm(
            total=total, desc=name, unit="picture", dynamic_ncols=True, leave=None, disable=not show
        )
        self._ious: dict[str, tuple[float, int]] = {}

    def __enter__(self) -> Progress:
        """Return the bar."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self._bar.close()

    def show(self, results: Sequence[Result]) -> None:
        """Bring the running score up to date."""
        for result in results:
            total, number = self._ious.get(result.group, (0.0, 0))
            self._ious[result.group] = (total + result.counts.iou, number + 1)
        for name in {result.group: None for result in results}:
            total, number = self._ious[name]
            self._bar.set_postfix_str(f"{name} gIoU {total / number:.3f}", refresh=False)

    def advance(self, pictures: int) -> None:
        """Go on by so many pictures."""
        self._bar.update(pictures)

"""What shows a run, in its plainest form: not at all."""

from types import TracebackType
from typing import Self

from charrnn.records import Record


class Display:
    """Shows records. This one is the silent twin: a quiet run shows nothing but warnings and errors."""

    def start(self) -> None:
        """Get ready; nothing is shown before the first record."""

    def handle(self, record: Record) -> None:
        """Show one record."""

    def stop(self) -> None:
        """Leave the terminal in order, whether the run has ended or was broken off."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

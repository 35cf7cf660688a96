"""What the command line shows: tables and progress, and one message for what the user can put right."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from typer.core import TyperGroup

from drive_wm.errors import InputError

screen = Console()
complaints = Console(stderr=True, soft_wrap=True)


class Commands(TyperGroup):
    """Shows what the user can put right as one message, without a traceback; anything else is a bug and keeps its own."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (InputError, FileNotFoundError) as error:
            complaints.print(f"[bold red]drive-wm:[/] {escape(str(error))}", highlight=False)
            raise typer.Exit(1) from error


@contextmanager
def interruptible(how_to_go_on: str) -> Iterator[None]:
    """Turn Ctrl-C into status 130 and one line that says what to type next."""
    try:
        yield
    except KeyboardInterrupt:
        complaints.print(f"Interrupted. {escape(how_to_go_on)}", highlight=False)
        raise typer.Exit(130) from None


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar that report(done, of_how_many, note) moves on; it appears with the first report, so an early error stands alone."""
    times = (TimeElapsedColumn(), "left", TimeRemainingColumn())
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), *times, "{task.fields[note]}")
    bar = Progress(*columns, console=complaints)
    task = bar.add_task(escape(title), total=None, note="")

    def report(done: int, of: int, note: str) -> None:
        bar.start()
        bar.update(task, completed=done, total=of or None, note=escape(note))

    try:
        yield report
    finally:
        if bar.live.is_started:
            bar.stop()


def show(title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Print these columns of the rows as one table, each in its format."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in columns:
        is_text = isinstance(rows[0].get(column), str)
        table.add_column(column.replace("_", " "), justify="left" if is_text else "right", no_wrap=is_text)
    for row in rows:
        table.add_row(*(escape(_cell(row.get(column), form)) for column, form in columns.items()))
    screen.print(table)


def _cell(value: Any, form: str) -> str:
    return "–" if value is None else format(value, form)

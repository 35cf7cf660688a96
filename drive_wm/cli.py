"""The command line: each command reads its options, calls one function and prints what comes back.

Every command imports its part when it runs, so that `drive-wm --help` is quick and a part that is not
installed troubles nobody who does not use it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
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


app = typer.Typer(
    name="drive-wm",
    cls=Commands,
    help="A world model for driving: prepare data, train, evaluate, export, run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
evaluate = typer.Typer(help="Measure a planner or a model; prints a table and writes JSON.", no_args_is_help=True)
bench = typer.Typer(help="Measure speed.", no_args_is_help=True)
app.add_typer(evaluate, name="evaluate")
app.add_typer(bench, name="bench")

Root = Annotated[Path, typer.Option(help="Folder of the data set: for nuScenes, the one that holds maps/ and v1.0-*/.")]
Version = Annotated[str, typer.Option(help="Folder of the nuScenes tables below the root.")]
Caches = Annotated[list[Path], typer.Option("--cache", help="Folder that `drive-wm prepare` wrote; repeat to join several.")]
Weights = Annotated[str, typer.Option(help="A checkpoint's path, or `synthetic` for the shipped weights.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write every row to this file.")]


@contextmanager
def interruptible(how_to_go_on: str) -> Iterator[None]:
    """Turn Ctrl-C into status 130 and one line that says what to type next."""
    try:
        yield
    except KeyboardInterrupt:
        complaints.print(f"Interrupted. {how_to_go_on}", highlight=False)
        raise typer.Exit(130) from None


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as one table; columns in the order in which keys first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if isinstance(rows[0].get(column), str) else "right")
    for row in rows:
        table.add_row(*(_cell(row.get(column, "")) for column in columns))
    screen.print(table)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for the report and the bundle.")] = Path("out/demo")) -> None:
    """Plan, evaluate and export on the shipped sample logs; writes an HTML report. Needs no data and no GPU."""
    from drive_wm.demo import run

    run(out)


if __name__ == "__main__":
    app()

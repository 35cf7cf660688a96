"""Keep the README's tables equal to the result files: `python -m drive_wm.benchmarks.readme [--check]`.

A table stands between <!-- results:NAME --> and <!-- /results:NAME --> and comes from NAME.json and NAME-*.json; a wide one
names the columns that it shows: <!-- results:NAME first second -->. Slices are shown instead of whole sets where the mark
names them: <!-- results:NAME [one; another] slice first second -->.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from drive_wm.benchmarks.results_table import markdown_table
from drive_wm.errors import InputError
from drive_wm.files import write_atomically

_BLOCK = re.compile(
    r"<!-- results:(?P<name>[\w-]+)(?P<shown>(?: \[(?P<slices>[^]\n]+)\])?(?P<columns>(?: \w+)*)) -->\n"
    r"(?P<table>.*?)<!-- /results:(?P=name) -->",
    re.DOTALL,
)
_MARK = re.compile(r"<!-- /?results:([\w-]+)(?: \[[^]\n]+\])?(?: \w+)* -->")


def with_tables(text: str, results: Path) -> str:
    """The text with every table made anew from the result files in this folder."""
    paired = [name for block in _BLOCK.finditer(text) for name in (block["name"],) * 2]
    marks = _MARK.findall(text)
    if sorted(paired) != sorted(marks):
        raise InputError(f"The result marks {marks} do not pair up: <!-- results:NAME -->, then <!-- /results:NAME -->.")
    return _BLOCK.sub(lambda block: _block(block, results), text)


def _block(block: re.Match[str], results: Path) -> str:
    name, slices = block["name"], block["slices"].split("; ") if block["slices"] else []
    paths = [path for path in (results / f"{name}.json",) if path.exists()] + sorted(results.glob(f"{name}-*.json"))
    if not paths:
        raise FileNotFoundError(f"No result file {results / name}.json. Measure and write it, or take the table's marks out.")
    table = markdown_table(paths, block["columns"].split(), slices)
    return f"<!-- results:{name}{block['shown']} -->\n{table}\n<!-- /results:{name} -->"


def main(arguments: Sequence[str] | None = None) -> None:
    """Rewrite the README; with --check leave it and exit with status 1 where it is stale."""
    parser = argparse.ArgumentParser(description="Make the README's tables from the result files.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the README is stale")
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args(arguments)
    try:
        text = options.readme.read_text()
        fresh = with_tables(text, options.results)
    except (InputError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    if options.check and fresh != text:
        raise SystemExit(f"{options.readme} is stale. Run: python -m drive_wm.benchmarks.readme")
    if fresh != text:
        write_atomically(options.readme, fresh)


if __name__ == "__main__":
    main()

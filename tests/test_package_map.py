"""pyproject's folder map equals the folders on disk: a package left out of it would vanish from the wheel."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
TOP_FOLDERS = ("datasets", "planners", "deploy", "benchmarks", "weights")


def packages_on_disk() -> dict[str, Path]:
    """{"drive_wm.planners": planners/} for every folder that holds Python files."""
    found = {}
    for top in ("drive_wm", *TOP_FOLDERS):
        name = top if top == "drive_wm" else f"drive_wm.{top}"
        for folder in {path.parent for path in (ROOT / top).rglob("*.py")}:
            found[".".join((name, *folder.relative_to(ROOT / top).parts))] = folder
    return found


def folder_of(package: str) -> Path:
    """Where setuptools looks for a package: the longest mapped parent, then the rest as folders."""
    mapped = SETUPTOOLS["package-dir"]
    parts = package.split(".")
    for n in range(len(parts), 0, -1):
        if (parent := ".".join(parts[:n])) in mapped:
            return ROOT.joinpath(mapped[parent], *parts[n:])
    return ROOT.joinpath(*parts)


def test_every_package_on_disk_is_shipped():
    assert sorted(SETUPTOOLS["packages"]) == sorted(packages_on_disk())


def test_every_package_comes_from_its_folder():
    assert {name: folder_of(name) for name in SETUPTOOLS["packages"]} == packages_on_disk()


def test_every_package_has_an_init_file():
    assert [name for name, folder in packages_on_disk().items() if not (folder / "__init__.py").is_file()] == []


def test_data_patterns_match_files_of_packages():
    """A pattern that no longer matches would ship nothing, without a word."""
    for package, patterns in SETUPTOOLS["package-data"].items():
        for pattern in patterns:
            assert list(folder_of(package).glob(pattern)), f"{package}: no file matches {pattern!r}"


def test_every_data_file_is_matched_by_a_pattern():
    """setuptools ships .py files alone; what else the code reads needs a pattern in package-data."""
    data = {
        path for top in ("drive_wm", *TOP_FOLDERS) for kind in ("safetensors", "j2") for path in (ROOT / top).rglob(f"*.{kind}")
    }
    patterns = SETUPTOOLS["package-data"].items()
    shipped = {path for package, globs in patterns for pattern in globs for path in folder_of(package).glob(pattern)}
    assert sorted(data - shipped) == []

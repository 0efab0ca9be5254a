"""Where migrations and templates lie: in an installed wheel, or beside the package in a clone."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """Return the folder `name` (`migrations` or `templates`) that belongs to this installation."""
    packaged = _PACKAGE / f"_{name}"
    return packaged if packaged.is_dir() else _PACKAGE.parent / name

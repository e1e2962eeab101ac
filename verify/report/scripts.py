"""The text of a finding's script, where its file lies beside the certificate."""

from __future__ import annotations

from pathlib import Path

# longer scripts are cut: the file is there
MOST_CHARACTERS = 10_000


def script_text(script: str, folder: Path) -> str:
    """The script's text; empty where there is no such file.

    The path was relative to where the certificate was made, so that its ends are looked for in the folder. A
    certificate may come from anywhere: nothing but a Python file inside the folder is read.
    """
    parts = Path(script).parts
    for start in range(len(parts)):
        place = folder.joinpath(*parts[start:])
        try:
            inside = place.resolve().is_relative_to(folder.resolve())
            if inside and place.suffix == ".py" and place.is_file():
                text = place.read_text(encoding="utf-8")
                return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}\n# ... and so on\n"
        except (OSError, ValueError):
            continue
    return ""

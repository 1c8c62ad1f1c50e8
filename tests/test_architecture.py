"""The import rule of docs/ARCHITECTURE.md, kept."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
RULES = [
    ("adapters", {"pipelines", "app"}),
    ("pipelines", {"app"}),
    ("app/ui", {"torch", "diffusers", "transformers", "peft"}),
]


def imported(file: Path) -> set[str]:
    """Top-level packages that a file names in any import, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize(("folder", "forbidden"), RULES)
def test_imports_go_one_way(folder: str, forbidden: set[str]) -> None:
    files = sorted((REPOSITORY / folder).rglob("*.py"))
    assert files
    broken = {str(f.relative_to(REPOSITORY)): imported(f) & forbidden for f in files
              if imported(f) & forbidden}
    assert not broken


def test_the_web_process_does_not_load_torch() -> None:
    code = ("import sys, app.http.server, app.ui.page, app.studio; "
            "sys.exit('torch is loaded' if 'torch' in sys.modules else 0)")
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]

"""Write docs/decisions/README.md, the list of its pages. Usage: python scripts/decisions.py"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "decisions"
HEAD = """# Decisions

What was tried and measured before something was settled: one page a decision, with the question, the answer,
the figures, and the command that measures them, or a plain word that none exists any more. The code keeps the
reason in a line. [CONTRIBUTING.md](../../CONTRIBUTING.md#recording-a-decision) says how to write one.

`python scripts/decisions.py` writes this list.

"""


def opening(page: Path) -> tuple[str, str]:
    """Return a page's question, and the answer that its first paragraph gives."""
    title, answer = page.read_text(encoding="utf-8").split("\n\n")[:2]
    return title.removeprefix("# "), " ".join(answer.split())


def index(folder: Path = FOLDER) -> str:
    entries = []
    for page in sorted(folder.glob("*.md")):
        if page.name != "README.md":
            question, answer = opening(page)
            entries.append(f"- [{question}]({page.name}) {answer}\n")
    return HEAD + "".join(entries)


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(index(), encoding="utf-8")

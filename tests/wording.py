"""Which texts of the program are to be translated, and whether they are: for the tests of several files."""

import ast
import re
from pathlib import Path

from segment.lab.lesson import REFERENCES
from segment.words import Text, catalog

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "segment"

# Callables whose arguments at these places are texts to be read.
TEXTS = {
    "say": [0],
    "shown": [0],
    "Column": [0],
    "Check": [0, 1, 2],
    "close": [0],
    "at_least": [0],
    "at_most": [0],
    "Table": [1],
    "Picture": [1, 2],
    "Section": [1],
    "quiet_axes": [1, 2, 3],
    "_experiment": [1, 2],
    "_line": [2],
    "Prose": [0],
    "Heading": [0],
}
TEXT_KEYWORDS = {"label", "title", "caption", "given", "hidden", "e_step", "m_step", "look"}
# Functions that return what only programs read.
RECORDS = {"record", "_record"}
OPTIONS = {"loc", "textcoords"}

# Names, symbols and commands are the same in every language.
ALIKE = {
    *("EM", "emEM", "ECM", "ECME", "SQUAREM", "Anderson", "BIC", "AIC", "ICL"),
    *("DEMP", "k-means", "OpenCV's MOG2"),
    *("carbonaria", "insularia", "typica", "full", "diag", "tied", "spherical", "kB"),
    *("log E[x]", "E[log x]", "log x"),
}


def is_language(text):
    """Return whether a text holds words that a language could say otherwise."""
    bare = re.sub(r"\{[^}]*\}", "", text)
    return bare.strip() not in ALIKE and re.search(r"[A-Za-z]{2}", bare) is not None


def has_entry(text, language="zh"):
    """Return whether a text is in the catalog, or needs not be; also what stands in its places."""
    if isinstance(text, Text):
        places = [value for value in text.places.values() if isinstance(value, str)]
        return has_entry(str(text.template), language) and all(has_entry(value, language) for value in places)
    return text in catalog(language) or not is_language(text)


def was_filled(text, language="zh"):
    """Return whether a text of which only the letters are left comes from one with places."""
    parts = (re.split(r"\{[^}]*\}", template) for template in catalog(language) if "{" in template)
    return any(
        re.fullmatch(".*".join(map(re.escape, each)), text) for each in parts if any(map(str.strip, each))
    )


def constants(path):
    """Yield the string constants of a module; no docstrings, no errors, no records, no options."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    stack: list = [(tree, tree)]
    while stack:
        node, above = stack.pop()
        if isinstance(node, ast.Raise | ast.JoinedStr):
            continue
        if isinstance(node, ast.keyword) and node.arg in OPTIONS:
            continue
        if isinstance(node, ast.FunctionDef) and node.name in RECORDS:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if not isinstance(above, ast.Expr):
                yield node.value
            continue
        stack += [(child, node) for child in ast.iter_child_nodes(node)]


def f_strings(path):
    """Yield the f-strings of a module that hold words, where a text stands: they could not be translated."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for text in _text_arguments(node):
            if isinstance(text, ast.JoinedStr):
                words = "".join(part.value for part in text.values if isinstance(part, ast.Constant))
                if is_language(words):
                    yield ast.unparse(text)


def _text_arguments(node):
    if not isinstance(node, ast.Call):
        return
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    yield from (node.args[i] for i in TEXTS.get(name, []) if i < len(node.args))
    yield from (keyword.value for keyword in node.keywords if keyword.arg in TEXT_KEYWORDS)


def texts(path):
    """Return what a module says: arguments that are texts, and whatever has a space between words."""
    tree_texts = {
        constant.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for argument in _text_arguments(node)
        for constant in ast.walk(argument)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }
    sentences = {text for text in constants(path) if re.search(r"[a-z{}.,:;)] [a-z(]", text)}
    references = {*REFERENCES, *REFERENCES.values()}
    return {text for text in (tree_texts | sentences) - references if is_language(text)}


def page_texts():
    """Return what the templates of the report's page say."""
    pages = [
        path.read_text(encoding="utf-8") for path in sorted((PACKAGE / "report" / "page").glob("*.html"))
    ]
    pattern = r"""(?:say\(|["(])"([^"]+)"(?:,|\s*\|\s*shown| if )|"([^"]+)"\s*\|\s*shown"""
    found = {text for page in pages for pair in re.findall(pattern, page) for text in pair}
    return {text for text in found if text and is_language(text)}

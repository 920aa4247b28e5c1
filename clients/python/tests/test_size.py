"""The library stays small: under 600 lines of code, each of which says one thing."""

import ast
import io
import tokenize
import unittest

from server import ROOT

MOST_LINES = 600
MOST_COLUMNS = 100
SPACE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def lines_of_code(source):
    """The numbers of the lines that hold more than space, comments and docstrings."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in SPACE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if ast.get_docstring(node) is not None:
                lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def crowded_lines(source):
    """The numbers of the lines that are too long, or on which two statements begin."""
    statements = [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    long = [at for at, line in enumerate(source.splitlines(), 1) if len(line) > MOST_COLUMNS]
    return sorted({at for at in statements if statements.count(at) > 1}.union(long))


class Size(unittest.TestCase):
    def test_the_library_has_fewer_lines_than_it_may_have(self):
        count = 0
        for path in sorted((ROOT / "clients/python/natter").glob("*.py")):
            source = path.read_text(encoding="utf-8")
            count += len(lines_of_code(source))
            self.assertEqual(crowded_lines(source), [], path.name)
        self.assertGreater(count, 100)
        self.assertLess(count, MOST_LINES)

    def test_comments_and_docstrings_are_no_code(self):
        source = '"""Doc\n\nstring."""\n\n# Why.\ndef f():\n    "Doc."\n    return """\n\n"""\n'
        self.assertEqual(lines_of_code(source), {6, 8, 9, 10})

    def test_what_is_crowded_is_found(self):
        source = f"a = 1; b = 2\nif a: b = 3\nc = {'1' * 100}\nd = (\n    4,\n)\n"
        self.assertEqual(crowded_lines(source), [1, 2, 3])


if __name__ == "__main__":
    unittest.main()

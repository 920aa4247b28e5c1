"""The examples of README.md do what it says."""

import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

from server import ROOT, Server  # first: it finds the library
import natter

LIBRARY = ROOT / "clients/python"
README = (LIBRARY / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.S)


class Examples(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.stop)

    def run_example(self, number):
        code = EXAMPLES[number].replace("127.0.0.1:20000", self.server.address)
        environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
        child = subprocess.Popen([sys.executable, "-u", "-c", code], env=environment, stdout=subprocess.PIPE, text=True)

        def end():
            child.kill()
            child.wait()
            child.stdout.close()

        self.addCleanup(end)
        return child

    def line(self, child):
        return child.stdout.readline().rstrip("\n")

    def test_there_are_five(self):
        self.assertEqual(len(EXAMPLES), 5)

    def test_the_examples_publish_read_page_and_answer(self):
        self.assertEqual(self.line(self.run_example(0)), "message 1 is stored")
        reader, listener = self.run_example(1), self.run_example(2)
        self.assertEqual(self.line(reader), "ci: build 7 is green")
        self.assertEqual(self.line(listener), "build 7 is green")
        with natter.Session(self.server.address, user="tester") as session:
            session.join("builds")
            session.publish("builds", "end")
            self.assertEqual(self.line(reader), "tester: end")
            self.assertEqual(reader.wait(20), 0)
            heard = session.messages()
            self.assertEqual(next(heard).text, "I have read it all")
            pages = self.run_example(3)
            self.assertEqual(self.line(pages), "end | I have read it all")
            self.assertEqual(self.line(pages), "build 7 is green")
            bot = self.run_example(4)
            self.assertEqual(self.line(bot), "3 here")
            session.publish("builds", "!echo it works")
            self.assertEqual(next(heard).text, "it works")


if __name__ == "__main__":
    unittest.main()

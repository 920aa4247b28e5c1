"""A topic server in a process of its own, which can be killed, and a network before it."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = os.environ.get("TOPICSERVER", str(ROOT / "target/debug/topicserver"))
sys.path.insert(0, str(ROOT / "clients/python"))

# Whatever takes longer than this won't come.
LIMIT = 20


class Server:
    def __init__(self, *options, port="0"):
        self.options, self.port = options, port
        self.data = tempfile.mkdtemp(prefix="natter-py-")
        self.start_again()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start_again(self):
        command = [PROGRAM, self.port, "--bind", "127.0.0.1", "--data", self.data, *self.options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            found = re.search(r"listening.*127\.0\.0\.1:(\d+)", line)
            self.port = found[1] if found else self.port
            pin = re.search(r"fingerprint (sha256:\S+)", line)
            self.pin = pin[1] if pin else None
            if pin or (found and "--tls-self-signed" not in self.options):
                break
        else:
            raise AssertionError("the server ended")

    def start_elsewhere(self, port):
        """Has another one take over its data, on another port."""
        self.port = port
        self.start_again()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log = self.process.stderr.read()
        self.process.stderr.close()

    def end(self):
        """Has it end in order, and waits for that."""
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()

    def stop(self):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.data)


class Proxy:
    """A network before a server that can be cut. The server names others, if there are any, when
    it registers a client."""

    def __init__(self, address, others=()):
        self.target, self.writers, self.near = address.rsplit(":", 1), [], []
        answer = b'{"extended":{"registered":{'
        named = answer + b'"servers":%s,' % json.dumps(others).encode() if others else answer
        self.answers = (answer, named)

    async def start(self):
        self.listener = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.address = "127.0.0.1:%d" % self.listener.sockets[0].getsockname()[1]
        return self

    async def accept(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            return writer.close()
        self.writers += [writer, far_writer]
        self.near.append(writer)
        # Otherwise the end of the test is told as a fault of this task's.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self.copy(reader, far_writer), self.copy(far_reader, writer))

    async def copy(self, reader, writer):
        try:
            while True:
                data = await reader.read(65536)
                if not data:
                    break
                writer.write(data.replace(*self.answers))
        except (OSError, asyncio.CancelledError):
            pass
        writer.close()

    def tell(self, frame):
        """Says something to all clients, as if the server did. It must be silent meanwhile."""
        for writer in self.near:
            writer.write(json.dumps(frame).encode() + b"\n")

    def cut(self):
        for writer in self.writers:
            writer.transport.abort()
        self.writers = []

    def stop(self):
        self.listener.close()
        self.cut()


def nowhere():
    """A port of this machine where nobody is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def following(client, event):
    """A future of the next event of a client's."""
    future = asyncio.get_running_loop().create_future()
    end = client.on(event, lambda value: (end(), future.set_result(value)))
    return asyncio.wait_for(asyncio.shield(future), LIMIT)


class Texts(list):
    """The texts that come, as they come."""

    def __init__(self, client):
        super().__init__()
        self.changed = asyncio.Event()
        client.on("message", self.take)

    def take(self, message):
        self.append(message.text)
        self.changed.set()

    async def until(self, is_it):
        async def wait():
            while not is_it(self):
                self.changed.clear()
                await self.changed.wait()

        await asyncio.wait_for(wait(), LIMIT)

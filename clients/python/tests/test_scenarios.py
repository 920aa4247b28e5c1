"""clients/scenarios.md, one test each."""

import asyncio
import contextlib
import hashlib
import json
import pathlib
import tempfile
import types
import unittest

from server import Proxy, Server, Texts, following, nowhere  # first: it finds the library
import natter
import natter._connection
import natter._tls


def numbers(first, last):
    return [str(n) for n in range(first, last + 1)]


class Scenarios(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.clients = []

    async def asyncTearDown(self):
        for client in self.clients:
            client.abort()

    def server(self, *options, **more):
        server = Server(*options, **more)
        self.addCleanup(server.stop)
        return server

    async def network(self, server, *others):
        network = await Proxy(server.address, others).start()
        self.addCleanup(network.stop)
        return network

    async def connect(self, place, **options):
        client = await natter.connect(place.address, **options)
        self.clients.append(client)
        return client

    async def join(self, place, topic, **options):
        client = await self.connect(place, **options)
        await client.join(topic)
        return client

    @contextlib.asynccontextmanager
    async def refused(self, code):
        with self.assertRaises(natter.NatterError) as caught:
            yield
        self.assertEqual(caught.exception.code, code)

    async def test_s1_each_message_arrives_once_in_order_and_is_acknowledged(self):
        server = self.server()
        reader = await self.join(server, "t")
        heard = Texts(reader)
        writer = await self.join(server, "t", user="writer")
        acks = await asyncio.gather(*[writer.publish("t", text) for text in numbers(1, 200)])
        self.assertEqual([str(ack.seq) for ack in acks], numbers(1, 200))
        await heard.until(lambda heard: len(heard) == 200)
        self.assertEqual(heard, numbers(1, 200))

    async def test_s2_a_server_that_is_killed_loses_and_doubles_nothing(self):
        server = self.server()
        reader = await self.join(server, "t")
        heard = Texts(reader)
        writer = await self.join(server, "t", user="writer")
        acks = [writer.publish("t", text) for text in numbers(1, 500)]
        await acks[100]
        server.kill()
        acks += [writer.publish("t", text) for text in numbers(501, 1000)]
        server.start_again()
        await asyncio.wait_for(asyncio.gather(*acks), 20)
        await heard.until(lambda heard: len(heard) >= 1000)
        self.assertEqual(heard, numbers(1, 1000))

    async def test_s3_what_was_missed_comes_exactly_then_what_is_live(self):
        server = self.server()
        network = await self.network(server)
        reader = await self.join(network, "t", user="reader")
        heard = Texts(reader)
        writer = await self.join(server, "t")
        for text in numbers(1, 20):
            await writer.publish("t", text)
        await reader.publish("t", "own")
        resumed = following(reader, "resumed")
        network.cut()
        for text in numbers(21, 40):
            await writer.publish("t", text)
        # What was missed may come in one read with the answer.
        about = await resumed
        self.assertEqual((about["recovered"], about["is_reset"]), (True, False))
        self.assertGreater(about["missed"], 0)
        for text in numbers(41, 50):
            await writer.publish("t", text)
        await heard.until(lambda heard: len(heard) == 50)
        self.assertEqual(heard, numbers(1, 50))

    async def test_s4_what_the_history_has_dropped_is_told(self):
        server = self.server("--keep-messages", "10", "--history-messages", "10")
        network = await self.network(server)
        reader = await self.join(network, "t")
        heard = Texts(reader)
        writer = await self.join(server, "t")
        await writer.publish("t", "1")
        await heard.until(lambda heard: heard == ["1"])
        gaps = []
        reader.on("gap", gaps.append)
        lost = following(reader, "disconnected")
        network.cut()
        await lost
        await asyncio.gather(*[writer.publish("t", text) for text in numbers(2, 3000)])
        await heard.until(lambda heard: "3000" in heard)
        # The reader may be back while there is more to come, and fall behind again.
        self.assertEqual(gaps[0]["from"], 2)
        gone = {text for gap in gaps for text in numbers(gap["from"], gap["to"])}
        self.assertEqual(heard, [text for text in numbers(1, 3000) if text not in gone])

    async def test_s5_a_server_that_has_lost_its_data_is_told_apart(self):
        server = self.server()
        reader = await self.join(server, "t")
        heard = Texts(reader)
        writer = await self.join(server, "t")
        for text in numbers(1, 5):
            await writer.publish("t", text)
        await heard.until(lambda heard: len(heard) == 5)
        resumed = following(reader, "resumed")
        server.kill()
        self.server(port=server.port)
        self.assertTrue((await resumed)["is_reset"])
        await writer.publish("t", "anew")
        await heard.until(lambda heard: "anew" in heard)
        self.assertEqual(heard, numbers(1, 5) + ["anew"])

    async def test_s6_an_id_is_delivered_once(self):
        server = self.server()
        reader = await self.join(server, "t")
        heard = Texts(reader)
        writer = await self.join(server, "t")
        first = await writer.publish("t", "once", id="s6")
        self.assertEqual(await writer.publish("t", "once", id="s6"), first)
        # Also while the first one is on its way.
        twice = [writer.publish("t", "twice", id="s6-2") for _ in range(2)]
        async with self.refused("duplicate-id"):
            await writer.publish("t", "another", id="s6-2")
        self.assertEqual(await twice[0], await twice[1])
        await writer.publish("t", "end")
        await heard.until(lambda heard: "end" in heard)
        self.assertEqual(heard, ["once", "twice", "end"])

    async def test_s7_a_message_that_fits_into_no_frame_is_refused_before_it_is_sent(self):
        writer = await self.join(self.server(), "t")
        async with self.refused("too-long"):
            await writer.publish("t", "ä" * 33000)
        self.assertEqual((await writer.publish("t", "short")).seq, 1)

    async def test_s8_what_only_this_server_finds_too_long_is_refused_alone(self):
        server = self.server("--max-frame", "2000")
        reader = await self.join(server, "t")
        heard = Texts(reader)
        writer = await self.join(server, "t")
        before = [writer.publish("t", text) for text in numbers(1, 20)]
        long = writer.publish("t", "x" * 3000)
        after = [writer.publish("t", text) for text in numbers(21, 40)]
        async with self.refused("too-long"):
            await long
        await asyncio.gather(*before, *after)
        await heard.until(lambda heard: len(heard) >= 40)
        self.assertEqual(heard, numbers(1, 40))

    async def test_s9_a_bad_topic_does_not_take_the_others_down(self):
        client = await self.join(self.server(), "t")
        for bad in ["", "x" * 256, "a\tb", "ä" * 128, "\ud800"]:
            async with self.refused("bad-topic"):
                await client.join(bad)
        self.assertEqual(client.topics, ["t"])
        self.assertEqual((await client.publish("t", "x")).seq, 1)

    async def test_s10_one_topic_too_many_is_refused_and_the_others_stay(self):
        network = await self.network(self.server("--max-topics", "3"))
        client = await self.join(network, "1")
        await client.join("2")
        await client.join("3")
        async with self.refused("too-many-topics"):
            await client.join("4")
        connected = following(client, "connected")
        network.cut()
        await connected
        self.assertEqual(client.topics, ["1", "2", "3"])
        self.assertEqual((await client.publish("3", "x")).seq, 1)

    async def test_a_topic_that_is_new_too_soon_is_refused_and_a_publisher_is_only_slowed(self):
        rules = '[everyone]\nallow = ["read write who list *"]\n[everyone.limits]\n'
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as accounts:
            accounts.write(rules + 'new-topics = "2/h"\nmessages = "50/s"\n')
            accounts.flush()
            server = self.server("--auth", accounts.name)
            client = await self.join(server, "1")
            await client.join("2")
            told = following(client, "error")
            lines = [client.publish("1", str(number)) for number in range(120)]
            # The notice comes while this question waits, and isn't its answer.
            asked = asyncio.ensure_future(client.who("1"))
            self.assertEqual((await told).code, "rate-limited")
            self.assertEqual((await asked)["count"], 1)
            async with self.refused("rate-limited"):
                await client.join("3")
            self.assertEqual((await asyncio.gather(*lines))[-1].seq, 120)
            self.assertEqual(client.topics, ["1", "2"])

    async def test_s11_a_taken_name_is_an_error(self):
        server = self.server()
        await self.connect(server, user="anna")
        async with self.refused("name-taken"):
            await natter.connect(server.address, user="anna")

    async def test_s12_a_name_is_kept_until_the_other_one_is_granted(self):
        server = self.server()
        await self.join(server, "t", user="bert")
        client = await self.join(server, "t", user="carl")
        heard = Texts(client)
        async with self.refused("name-taken"):
            await client.rename("bert")
        self.assertEqual(client.user, "carl")
        writer = await self.join(server, "t")

        async def write():
            for text in numbers(1, 100):
                await writer.publish("t", text)

        await asyncio.gather(write(), client.rename("dora"))
        self.assertEqual(client.user, "dora")
        await heard.until(lambda heard: len(heard) == 100)
        self.assertEqual(heard, numbers(1, 100))

    async def test_s13_older_messages_come_in_pages(self):
        client = await self.join(self.server("--history-messages", "50"), "t", user="emil")
        await asyncio.gather(*[client.publish("t", text) for text in numbers(1, 120)])
        pages = []
        page = await client.history("t", limit=50)
        while page.messages:
            pages[:0] = page.messages
            page = await client.history("t", before=page.messages[0].seq, limit=50)
        self.assertEqual([message.text for message in pages], numbers(1, 120))
        self.assertEqual(pages[0].user, "emil")

    async def test_s14_who_is_there_and_who_comes_and_goes(self):
        server = self.server()
        client = await self.join(server, "t", user="fritz")
        joined = following(client, "joined")
        other = await self.join(server, "t", user="gerd")
        self.assertEqual((await joined)["user"], "gerd")
        self.assertEqual((await client.who("t"))["count"], 2)
        self.assertEqual((await client.lookup("gerd"))["ip"], "127.0.0.1")
        async with self.refused("unknown-user"):
            await client.lookup("nobody")
        self.assertIn("t", [topic["topic"] for topic in await client.list()])
        left = following(client, "left")
        await other.leave("t")
        self.assertEqual((await left)["user"], "gerd")

    async def test_s15_closing_waits_for_every_acknowledgement(self):
        server = self.server()
        async with await natter.connect(server.address) as client:
            await client.join("t")
            acks = [client.publish("t", text) for text in numbers(1, 100)]
        self.assertTrue(all(ack.done() and not ack.exception() for ack in acks))
        reader = await self.connect(server)
        heard = Texts(reader)
        await reader.join("t", last=100)
        await heard.until(lambda heard: len(heard) == 100)
        self.assertEqual(heard, numbers(1, 100))

    async def test_s16_publishing_where_one_is_not_is_an_error(self):
        client = await self.join(self.server(), "t")
        async with self.refused("not-registered"):
            await client.publish("elsewhere", "x")
        # What waits for a topic that is left is not sent for ever.
        await client.join("left")
        waiting = client.publish("left", "x")
        await client.leave("left")
        async with self.refused("not-registered"):
            await waiting
        await client.close()
        async with self.refused("closed"):
            await client.publish("t", "x")
        async with self.refused("closed"):
            await client.who("t")

    async def test_s17_the_same_secret_elsewhere_ends_the_older_client(self):
        server = self.server()
        older = await self.join(server, "t", user="hans", client="secret")
        closed = following(older, "closed")
        await self.join(server, "t", user="hans", client="secret")
        self.assertEqual((await closed).code, "replaced")

    async def test_s18_over_tls_a_server_is_known_by_its_key(self):
        server = self.server("--tls-self-signed", "--tls", "required")
        address = f"tls://{server.address}#{server.pin}"
        reader, writer = [await natter.connect(address) for _ in range(2)]
        self.clients += [reader, writer]
        await reader.join("t")
        await writer.join("t")
        heard = Texts(reader)
        await writer.publish("t", "one")
        back = [following(client, "connected") for client in (reader, writer)]
        server.kill()
        late = writer.publish("t", "two")
        server.start_again()
        await asyncio.gather(*back, late)
        await heard.until(lambda heard: heard == ["one", "two"])
        await writer.close()
        wrong = server.pin.replace(server.pin[7:12], "AAAAA")
        for address, code in [
            (f"tls://{server.address}#{wrong}", "wrong-key"),
            (f"tls://{server.address}", "connection-lost"),
            (server.address, "tls-required"),
        ]:
            async with self.refused(code):
                await natter.connect(address)
        ca = f"{server.data}/tls/certificate.pem"
        self.clients.append(await natter.connect(f"tls://{server.address}", ca=ca))

    async def test_s19_a_credential_is_accepted_or_ends_it(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "accounts.toml")
            token = f'[tokens.a1]\nsecret = "sha256:{hashlib.sha256(b"hush").hexdigest()}"\nuser = "alice"\n'
            account = '[users.alice]\nallow = ["read write who t"]\n'
            path.write_text(account + token)
            server = self.server("--auth", str(path), "--log", "trace")
            client = await self.join(server, "t", auth="ntr_a1_hush")
            await client.publish("t", "hello")
            self.assertNotIn("hush", repr(vars(client)))
            async with self.refused("unauthenticated"):
                await natter.connect(server.address, auth="ntr_a1_no-hush")
            async with self.refused("unauthenticated"):
                await self.join(server, "t")
            closed = following(client, "closed")
            path.write_text(account)
            self.assertEqual((await closed).code, "revoked")
            server.kill()
            self.assertIn("logged in as alice", server.log)
            self.assertNotIn("hush", server.log)

    async def test_s20_a_server_that_drains_loses_and_doubles_nothing(self):
        server = self.server("--drain-spread", "2")
        readers = [await self.join(server, "t") for _ in range(20)]
        heard, left, loop = [Texts(reader) for reader in readers], {}, asyncio.get_running_loop()
        for reader in readers:
            reader.on("disconnected", lambda _, reader=reader: left.setdefault(reader, loop.time()))
        writer = await self.join(server, "t")
        sent = [writer.publish("t", text) for text in numbers(1, 50)]
        ended = asyncio.ensure_future(asyncio.to_thread(server.end))
        sent += [writer.publish("t", text) for text in numbers(51, 100)]
        await ended
        server.start_again()
        sent += [writer.publish("t", text) for text in numbers(101, 120)]
        await asyncio.gather(*sent)
        for texts in heard:
            await texts.until(lambda heard: len(heard) >= 120)
            self.assertEqual(texts, numbers(1, 120))
        moments = sorted(left.values())
        self.assertGreater(moments[-4] - moments[4], 0.5)

    async def move(self, place, server, port, ask=lambda: None):
        """A reader and a writer hear and say 1 to 600 while the server is killed, and another one
        takes over its data on that port."""
        reader, writer = [await self.join(place, "t") for _ in range(2)]
        heard = Texts(reader)
        await asyncio.gather(*[writer.publish("t", text) for text in numbers(1, 200)])
        await heard.until(lambda heard: len(heard) == 200)
        ask()
        acks = [writer.publish("t", text) for text in numbers(201, 400)]
        server.kill()
        acks += [writer.publish("t", text) for text in numbers(401, 600)]
        await asyncio.to_thread(server.start_elsewhere, port)
        await asyncio.wait_for(asyncio.gather(*acks), 20)
        await heard.until(lambda heard: len(heard) >= 600)
        self.assertEqual(heard, numbers(1, 600))
        for client in (reader, writer):
            self.assertEqual(client.address, f"127.0.0.1:{port}")

    async def test_s21_where_a_server_dies_the_next_address_loses_and_doubles_nothing(self):
        server, port = self.server(), nowhere()
        both = types.SimpleNamespace(address=f"{server.address}, 127.0.0.1:{port}")
        await self.move(both, server, port)

    async def test_s22_a_client_goes_where_a_server_has_named_another_one(self):
        for is_asked in (True, False):
            server, port = self.server(), nowhere()
            there = [f"127.0.0.1:{port}"]
            network = await self.network(server, *([] if is_asked else there))
            hint = {"extended": {"reconnect": {"within": 200, "servers": there}}}
            await self.move(network, server, port, lambda: is_asked and network.tell(hint))

    async def test_s23_what_people_should_know_of_a_server_is_told(self):
        server = self.server()
        network = await self.network(server)
        reader = await self.join(network, "t")
        writer = await self.join(server, "t")
        heard, notices = Texts(reader), []
        reader.on("notice", notices.append)
        await writer.publish("t", "1")
        await heard.until(lambda heard: heard == ["1"])
        told = [
            {"code": "no-quorum", "text": "none are taken"},
            {"code": "quorum", "text": "they are again"},
        ]
        for notice in told:
            come = following(reader, "notice")
            network.tell({"extended": {"notice": notice}})
            await come
        self.assertEqual(notices, told)
        await reader.publish("t", "2")
        await writer.publish("t", "3")
        await heard.until(lambda heard: len(heard) == 2)
        self.assertEqual(heard, ["1", "3"])

    async def fake(self, answer):
        """The address of a server that answers each first frame so, and how many there were."""
        asked = []

        async def accept(reader, writer):
            asked.append(await reader.readline())
            writer.write(json.dumps({"extended": answer}).encode() + b"\n")
            if "error" not in answer:
                await reader.read()
            writer.close()

        listener = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.addCleanup(listener.close)
        return f"127.0.0.1:{listener.sockets[0].getsockname()[1]}", asked

    async def test_addresses_where_nobody_is_cost_nothing_and_a_refusal_is_the_services(self):
        server = self.server()
        dead = [f"127.0.0.1:{nowhere()}" for _ in range(2)]
        for _ in range(5):
            async with await natter.connect([*dead, server.address]) as client:
                self.assertEqual(client.address, server.address)
        refusal = {"error": {"code": "protected", "text": "no"}}
        one, asked = await self.fake(refusal)
        other, also_asked = await self.fake(refusal)
        async with self.refused("protected"):
            await natter.connect(f"{one},{other}")
        self.assertEqual(len(asked + also_asked), 1)
        # One that is busy is passed over.
        busy, _ = await self.fake({"error": {"code": "too-many-connections", "text": "no"}})
        good, asked = await self.fake({"registered": {"topics": {}}})
        for _ in range(5):
            (await natter.connect([busy, good])).abort()
        self.assertEqual(len(asked), 5)

    async def test_a_named_server_that_refuses_is_left(self):
        server = self.server()
        network = await self.network(server)
        strange, asked = await self.fake({"error": {"code": "protected", "text": "no"}})
        client = await self.join(network, "t")
        back = following(client, "connected")
        named = [strange, "unix:/run/x", "no address"]
        network.tell({"extended": {"reconnect": {"within": 1, "servers": named}}})
        await back
        self.assertEqual((client.address, len(asked)), (network.address, 1))
        await client.publish("t", "x")

    async def test_a_named_server_is_protected_no_less(self):
        read = natter._tls.Server.read
        named = lambda server, text, ip: [
            (one.host, one.is_tls, one.pin, one.insecure_auth) for one in server.named([text], ip)
        ]
        there, here = "192.0.2.1", "127.0.0.1"
        self.assertEqual(named(read("a:1"), "b:2", there), [("b", False, None, False)])
        secure = read("tls://a:1#sha256:aa", auth="x", insecure_auth=True)
        self.assertEqual(named(secure, "b:2", there), [("b", True, "aa", False)])
        self.assertEqual(named(secure, "b:2#sha256:bb", there), [("b", True, "bb", False)])
        # What could be forged on the way is not sent a credential.
        self.assertEqual(named(read("a:1", auth="x", insecure_auth=True), "b:2", there), [])
        self.assertEqual(named(read("a:1", auth="x"), "b:2", here), [("b", False, None, False)])
        # No other machine knows what listens on this one.
        self.assertEqual(named(secure, "127.0.0.1:22", there), [])
        self.assertEqual(len(named(read("a:1"), "127.0.0.1:22", here)), 1)

    async def test_several_addresses_are_all_over_tls_or_none_is(self):
        read = natter._tls.Server.read_all
        found = {one.host: one.is_tls for one in read("tls://a:1, b:1,tcp://127.0.0.1:1")}
        self.assertEqual(found, {"a": True, "b": True, "127.0.0.1": False})
        for wrong, named in [("a:1,,b:1", "''"), ("a:1,b", "'b'"), ("tls://a:1,tcp://b:1", "b:1")]:
            with self.assertRaisesRegex(ValueError, named):
                await natter.connect(wrong)

    async def test_a_credential_stays_on_this_machine_in_plain_text(self):
        server = natter._tls.Server.read("192.0.2.1:1", auth="ntr_a1_hush")
        async with self.refused("tls-required"):
            server.check(None, "192.0.2.1")
        server.check(None, "127.0.0.1")
        server.check(None, "::ffff:127.0.0.1")
        natter._tls.Server.read("192.0.2.1:1", auth="x", insecure_auth=True).check(None, "192.0.2.1")

    async def test_an_address_is_read_as_it_is_written(self):
        for text, read in [
            ("chat.example.org:20000", ("chat.example.org", 20000, False, None)),
            ("tcp://[::1]:1", ("::1", 1, False, None)),
            ("tls://10.0.0.1:1", ("10.0.0.1", 1, True, None)),
            ("tls://a:1#sha256:ab+/cd==", ("a", 1, True, "ab+/cd")),
        ]:
            server = natter._tls.Server.read(text)
            self.assertEqual((server.host, server.port, server.is_tls, server.pin), read)
        for text in ["", "a", ":1", "a:", "a:x", "http://a:1", "a:1#sha256:ab", "tls://a:1#ab"]:
            with self.assertRaises(ValueError):
                await natter.connect(text)

    async def test_what_waited_goes_before_what_a_handler_adds(self):
        server = self.server()
        network = await self.network(server)
        reader = await self.join(server, "t")
        heard = Texts(reader)
        writer = await self.join(network, "t")
        writer.on("connected", lambda _: writer.publish("t", "late"))
        lost = following(writer, "disconnected")
        network.cut()
        await lost
        await asyncio.gather(*[writer.publish("t", text) for text in numbers(1, 3)])
        await heard.until(lambda heard: "late" in heard)
        self.assertEqual(heard, numbers(1, 3) + ["late"])

    async def test_long_messages_arrive_whole(self):
        server = self.server()
        reader = await self.join(server, "t")
        heard = Texts(reader)
        writer = await self.join(server, "t")
        texts = ["ä" * length for length in range(20000, 20020)]
        await asyncio.gather(*[writer.publish("t", text) for text in texts])
        await heard.until(lambda heard: len(heard) == len(texts))
        self.assertTrue(heard == texts)

    async def test_a_line_without_an_end_ends_the_connection(self):
        async def accept(reader, writer):
            await reader.readline()
            writer.write(b'{"extended":{"registered":{"topics":{}}}}\n')
            writer.write(b" " * (natter._connection._LINE_LIMIT + 1))
            await reader.read()
            writer.close()

        listener = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.addCleanup(listener.close)
        port = listener.sockets[0].getsockname()[1]
        client = await natter.connect(f"127.0.0.1:{port}", reconnect=False)
        self.assertEqual((await following(client, "closed")).code, "connection-lost")

    async def test_leaving_and_joining_again_takes_part(self):
        server = self.server()
        reader = await self.join(server, "t")
        heard = Texts(reader)
        other, left, joined = await asyncio.gather(
            reader.join("other"), reader.leave("t"), reader.join("t", last=1)
        )
        self.assertEqual((other.topic, left, joined.topic), ("other", None, "t"))
        writer = await self.join(server, "t")
        await writer.publish("t", "after")
        await heard.until(lambda heard: heard == ["after"])

    async def test_topics_that_are_refused_after_a_return_leave_the_others(self):
        server = self.server("--max-topics", "10")
        client = await self.join(server, "0")
        for topic in numbers(1, 9):
            await client.join(topic)
        refused, connected = [], following(client, "connected")
        client.on("refused", lambda error: refused.append((error.code, error.topic)))
        server.kill()
        server.options = ("--max-topics", "8")
        server.start_again()
        await connected
        self.assertEqual(refused, [("too-many-topics", "8"), ("too-many-topics", "9")])
        self.assertEqual(client.topics, numbers(0, 7))
        self.assertEqual((await client.publish("7", "x")).seq, 1)

    async def test_no_server_is_an_error(self):
        async with self.refused("connection-lost"):
            await natter.connect("127.0.0.1:1")


if __name__ == "__main__":
    unittest.main()

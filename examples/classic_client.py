"""A client written from the original specification alone: how little it takes.

classic_client.py -topic ADDRESS:PORT TOPIC, -direct PORT, or -direct 0 ADDRESS:PORT
"""
import codecs, json, select, socket, sys

mode, first, second = (sys.argv[1:] + [""])[:3]
if mode == "-direct" and first != "0":
    sock, _ = socket.create_server(("", int(first))).accept()
else:
    host, port = (first if mode == "-topic" else second).rsplit(":", 1)
    sock = socket.create_connection((host.strip("[]"), int(port)))
topic = second if mode == "-topic" else "direct"
source, destination = ({"ip": a[0], "port": str(a[1])} for a in (sock.getsockname(), sock.getpeername()))
if mode == "-topic":
    sock.sendall(json.dumps({"source": source, "topics": [topic]}).encode())

keyboard = open(0, "rb", buffering=0)  # unbuffered, so that select knows of every line
inputs, received, utf8 = [keyboard, sock], "", codecs.getincrementaldecoder("utf-8")()
while sock in inputs:
    ready, _, _ = select.select(inputs, [], [])
    if sock in ready:
        data = sock.recv(65536)
        received = (received + utf8.decode(data)).lstrip()
        while received:  # one recv may bring several frames, or half of one
            try:
                frame, end = json.JSONDecoder().raw_decode(received)
            except ValueError:
                break  # the rest of it is still to come
            received = received[end:].lstrip()
            if "message" in frame:
                print("%s:%s" % (frame["message"]["topic"], frame["message"]["text"]), flush=True)
        if not data:
            inputs.remove(sock)  # the other side has closed
    if keyboard in ready:
        line = keyboard.readline().decode()
        if line:
            message = {"topic": topic, "text": line.rstrip("\r\n")}
            frame = {"source": source, "destination": destination, "message": message}
            sock.sendall(json.dumps(frame).encode())
        else:
            inputs.remove(keyboard)  # the end of the input: say so, and hear the rest
            sock.shutdown(socket.SHUT_WR)

//! Clients that nobody here wrote.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use crate::common::{Bystanders, Process};
use crate::server;

/// Whether a program is there; it is said if it isn't.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        println!("skipped: {program} isn't installed");
    }
    found
}

/// What a program prints that must succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}{errors}");
    text
}

#[test]
fn curl_speaks_both_versions() {
    if !has("curl") {
        return;
    }
    let (server, certificate) = server::program(&[]);
    let mut other = server.join(&["lab"]);
    let port = server.listens_on().port();
    let url = |path: &str| format!("https://localhost:{port}{path}");
    for version in ["1.2", "1.3"] {
        for trust in [&["--cacert", &certificate][..], &["-k"]] {
            let curl = || {
                let mut curl = Command::new("curl");
                curl.args(["-sS", "--max-time", "20", "--tlsv1.2", "--tls-max", version]);
                curl.args(trust);
                curl
            };
            let said = output(curl().args(["-d", version]).arg(url("/lab")));
            assert!(said.contains("\"seq\":"), "{said}");
            other.expect("lab", version);
            let history = output(curl().arg(url("/lab?last=1&poll=1")));
            assert!(
                history.contains(&format!("\"text\":\"{version}\"")),
                "{history}"
            );
        }
    }
    // Not the right name, and nobody who vouches for it.
    let refused = |arguments: &[&str]| {
        let mut curl = Command::new("curl");
        let status = curl.args(["-sS"]).args(arguments).output().unwrap().status;
        assert!(!status.success(), "{arguments:?}");
    };
    refused(&[&url("/-/health")]);
}

/// A program that reads from us and prints.
struct Talk {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Talk {
    fn with(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line that holds this.
    #[track_caller]
    fn wait_for(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            let count = self.lines.read_line(&mut line).unwrap();
            assert!(count > 0, "it ended before {part:?}");
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Ends its input, and what it still prints.
    fn finish(&mut self) -> String {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap();
        rest
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn openssl_updates_its_keys() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: openssl isn't installed");
        return;
    }
    let (server, _) = server::program(&[]);
    let openssl = |options: &str| {
        let addr = server.v4();
        let line = format!("exec openssl s_client -quiet -no_ign_eof {options} -connect {addr}");
        Talk::with(Command::new("sh").args(["-c", &format!("{line} 2>&1")]))
    };
    let mut other = server.join(&["t"]);
    let mut talk = openssl("");
    talk.say(r#"{"topics":["t"]}{}"#);
    talk.wait_for("unknown-frame");
    for update in ["K", "k", "K", "K"] {
        // It takes a line with nothing but this for a command.
        talk.say(update);
        talk.wait_for("KEYUPDATE");
        talk.say(r#"{"message":{"topic":"t","text":"after an update"}}{}"#);
        other.expect("t", "after an update");
        talk.wait_for("unknown-frame");
        other.say("t", "to a client with new keys");
        talk.wait_for("to a client with new keys");
    }
    talk.finish();
    let mut bystanders = Bystanders::at(server.v4());
    // Who wants to negotiate again is told that it can't; nobody else notices.
    let mut talk = openssl("-tls1_2");
    talk.say("{}");
    talk.wait_for("unknown-frame");
    talk.say("R");
    talk.wait_for("no renegotiation");
    talk.finish();
    bystanders.talk();
}

/// The twenty-line client of docs/protocol.md, within TLS: only the lines that connect and
/// end are others, as the page says.
const PYTHON: &str = r#"
import json, socket, ssl, sys, threading

host, port, topic, certificate = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=certificate)
sock = context.wrap_socket(socket.create_connection((host, port)), server_hostname=host)
sock.sendall(json.dumps({"topics": [topic]}).encode() + b"\n")

def listen():
    for line in sock.makefile(encoding="utf-8"):
        message = json.loads(line)["message"]
        print(message["topic"] + ":" + message["text"], flush=True)

listener = threading.Thread(target=listen)
listener.start()
for line in sys.stdin:
    message = {"topic": topic, "text": line.rstrip("\n")}
    sock.sendall(json.dumps({"message": message}).encode() + b"\n")
sock.sendall(b'{"extended":{"end":{}}}')
listener.join()
"#;

#[test]
fn a_twenty_line_client_in_python_takes_part_and_says_that_it_has_ended() {
    if !has("python3") {
        return;
    }
    let (server, certificate) = server::program(&[]);
    let mut other = server.join(&["lab"]);
    let port = server.listens_on().port().to_string();
    let mut python = Command::new("python3");
    python.args([
        "-X",
        "utf8",
        "-c",
        PYTHON,
        "localhost",
        &port,
        "lab",
        &certificate,
    ]);
    let mut talk = Talk::with(&mut python);
    talk.say("h\u{e9}llo");
    other.expect("lab", "h\u{e9}llo");
    other.say("lab", "and you");
    assert_eq!(talk.wait_for(":"), "lab:and you\n");
    talk.say("last");
    assert_eq!(talk.finish(), "");
    other.expect("lab", "last");
}

const LIBRARIES: &str = r#"
import asyncio, json, ssl, sys
import requests
from websockets.asyncio.client import connect

port, certificate = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=certificate)
url = f"https://localhost:{port}/lab"

async def main():
    async with connect(f"wss://localhost:{port}/-/ws", ssl=context) as socket:
        await socket.send(json.dumps({"topics": ["lab"], "extended": {}}))
        await socket.recv()
        answer = requests.post(url, data=b"from requests", verify=certificate)
        assert answer.json()["topic"] == "lab", answer.text
        assert json.loads(await socket.recv())["message"]["text"] == "from requests"
        await socket.send(json.dumps({"message": {"topic": "lab", "text": "from websockets"}}))
        await socket.ping()
        answer = requests.get(url + "?last=1&poll=1", verify=certificate, stream=True)
        print([json.loads(line) for line in answer.iter_lines()][-1]["message"]["text"])

asyncio.run(main())
"#;

/// A folder with both libraries, where they can be had.
fn libraries() -> Option<std::path::PathBuf> {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-tls");
    let python = folder.join("bin/python");
    let works = |python: &std::path::Path| {
        let mut command = Command::new(python);
        let status = command.args(["-c", "import requests, websockets"]).output();
        status.is_ok_and(|output| output.status.success())
    };
    if !works(&python) {
        let _ = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&folder)
            .output();
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "-q",
            "requests==2.32.5",
            "websockets==15.0.1",
        ]);
        let _ = pip.output();
    }
    works(&python).then_some(python)
}

#[test]
fn the_usual_libraries_of_python_speak_https_and_wss() {
    let Some(python) = libraries() else {
        println!("skipped: requests and websockets can't be installed");
        return;
    };
    let (server, certificate) = server::program(&[]);
    let port = server.listens_on().port().to_string();
    let mut command = Command::new(python);
    let printed = output(command.args(["-c", LIBRARIES, &port, &certificate]));
    assert_eq!(printed, "from websockets\n");
}

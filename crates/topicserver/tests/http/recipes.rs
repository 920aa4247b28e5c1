//! The recipes of `docs/security.md`: their commands are run as they stand, but for ports,
//! files and addresses.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::common::{Directory, Process, eventually, program};
use crate::nginx::{Nginx, documented};
use crate::requests::{Answer, Http};

const PAGE: &str = include_str!("../../../../docs/security.md");

const PASSWORD: &str = "correct horse battery";

/// A recipe in a folder of its own.
struct Recipe {
    folder: Directory,
    /// What is left to be run.
    commands: Vec<String>,
}

impl Recipe {
    fn new(title: &str) -> Self {
        let (_, recipe) = PAGE.split_once(&format!("### {title}\n")).unwrap();
        let recipe = recipe.split("\n## ").next().unwrap();
        let recipe = recipe.split("\n### ").next().unwrap();
        let blocks = recipe.split("```sh\n").skip(1);
        let blocks = blocks.map(|block| block.split("```").next().unwrap());
        let text: String = blocks.collect();
        let text = text.replace("\\\n", " ");
        let folder = Directory::new();
        std::fs::create_dir_all(folder.path()).unwrap();
        Self {
            folder,
            commands: text.lines().rev().map(str::to_owned).collect(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The next command.
    #[track_caller]
    fn next(&mut self, begin: &str) -> String {
        let command = self.commands.pop().expect("the recipe is over");
        assert!(command.starts_with(begin), "{command}");
        command
    }

    /// Runs the next command, which begins so and ends by itself.
    #[track_caller]
    fn run(&mut self, begin: &str, input: &str) {
        let command = self.next(begin);
        let exe = Path::new(env!("CARGO_BIN_EXE_topicserver"));
        let mut child = Command::new("sh")
            .args(["-c", &command])
            .current_dir(self.folder.path())
            .env("PATH", with_path(exe.parent().unwrap()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }

    /// Starts the server of the next command, on any port, with files of the recipe's folder.
    #[track_caller]
    fn serve(&mut self) -> Process {
        let command = self.next("topicserver ");
        let words = command.split_whitespace().skip(2);
        let words: Vec<String> = words
            .map(|word| {
                let name = word.rsplit('/').next().unwrap();
                match [".toml", ".pem"].iter().any(|end| name.ends_with(end)) {
                    true => self.path(name).to_str().unwrap().to_owned(),
                    false => word.to_owned(),
                }
            })
            .collect();
        Process::start(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[track_caller]
    fn expect_over(&self) {
        assert!(self.commands.is_empty(), "{:?}", self.commands);
    }

    /// A certificate and its key, as an authority could have given them.
    fn make_certificate(&self) {
        let data = self.path("data");
        let data = data.to_str().unwrap();
        let names = "--tls-self-signed=chat.example";
        let mut server = Process::start(&[names, "--data", data]);
        server.terminate();
        for (from, to) in [
            ("certificate.pem", "fullchain.pem"),
            ("key.pem", "privkey.pem"),
        ] {
            std::fs::copy(self.path("data/tls").join(from), self.path(to)).unwrap();
        }
    }
}

fn with_path(folder: &Path) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", folder.display())
}

/// A request to `chat.example`.
fn ask(mut http: Http, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: chat.example\r\n");
    for header in headers {
        head += &format!("{header}\r\n");
    }
    let length = body.len();
    assert!(http.send(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes()));
    http.answer()
}

/// Logs in by the form of the page; the header with the cookie.
fn log_in(http: Http, origin: &str) -> String {
    let kind = "content-type: application/json";
    let body = json!({"user": "alice", "password": PASSWORD}).to_string();
    let answer = ask(http, "POST", "/-/login", &[origin, kind], &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let line = answer.header("set-cookie").unwrap();
    assert!(line.starts_with("__Host-natter="), "{line}");
    assert!(line.ends_with("; Secure"), "{line}");
    let (pair, _) = line.split_once(';').unwrap();
    format!("cookie: {pair}")
}

#[test]
fn a_class_shares_one_token() {
    let mut recipe = Recipe::new("A class, with one token for all");
    recipe.run("topicserver token add", "");
    let token = std::fs::read_to_string(recipe.path("class.token")).unwrap();
    let token = format!("authorization: Bearer {}", token.trim());
    let server = recipe.serve();
    let line = server.wait_for("fingerprint sha256:");
    let (_, fingerprint) = line.split_once("sha256:").unwrap();
    let https = || Http::over_tls(server.v4());
    https()
        .get("/lab?poll=1", &[])
        .expect_problem(401, "unauthenticated");
    assert_eq!(https().post("/lab", &[&token], b"hello").status, 200);
    let chat = recipe.next("chat -topic");
    let chat = chat
        .replace("HOST:20000", &server.v4().to_string())
        .replace("FINGERPRINT", fingerprint);
    let exe = Path::new(env!("CARGO_BIN_EXE_topicserver"));
    if exe.with_file_name("chat").exists() {
        let command = format!("echo 'from chat' | {chat} --no-config");
        let output = Command::new("sh")
            .args(["-c", &command])
            .current_dir(recipe.folder.path())
            .env("PATH", with_path(exe.parent().unwrap()))
            // It notes the server's key, and another server gets the port some day.
            .env("XDG_CONFIG_HOME", recipe.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let all = https().get("/lab?poll=1", &[&token]);
        assert!(all.text().contains("from chat"), "{}", all.text());
    } else {
        println!("without chat: it isn't built");
    }
    recipe.run("topicserver token remove", "");
    eventually("the token to be gone", || {
        // No stream, which the change may end before its last chunk.
        let answer = https().get("/-/topics", &[&token]);
        (answer.status == 401).then_some(())
    });
    recipe.expect_over();
}

#[test]
fn a_server_behind_nginx_knows_its_clients() {
    let mut recipe = Recipe::new("A public server behind nginx");
    recipe.run("topicserver user add", "");
    recipe.run("topicserver user password", PASSWORD);
    recipe.make_certificate();
    let server = recipe.serve();
    recipe.expect_over();
    let files = ["fullchain.pem", "privkey.pem"].map(|name| recipe.path(name));
    let [certificate, key] = files.each_ref().map(|path| path.display());
    let listen =
        format!("listen 443 ssl;\nssl_certificate {certificate};\nssl_certificate_key {key};");
    assert!(PAGE.contains("`listen 443 ssl;`"));
    let lines = documented().replace("listen 80;", &listen);
    let Some(nginx) = Nginx::before_addr(server.v4(), &lines) else {
        return;
    };
    let https = || Http::over_tls(nginx.addr);
    let origin = "origin: https://chat.example";
    ask(https(), "POST", "/lab", &[origin], "x").expect_problem(401, "unauthenticated");
    let cookie = log_in(https(), origin);
    let answer = ask(https(), "POST", "/lab", &[origin, &cookie], "by the page");
    assert_eq!(answer.status, 200, "{answer:?}");
    // A client can't say that it comes from elsewhere, or by what.
    let forged = ["x-forwarded-for: 203.0.113.9", "x-forwarded-proto: http"];
    let headers = [&forged[..], &[&cookie]].concat();
    let answer = ask(https(), "GET", "/lab?poll=1", &headers, "");
    assert!(answer.text().contains("by the page"), "{answer:?}");
    assert!(answer.text().contains("127.0.0.1"), "{answer:?}");
}

#[test]
fn a_server_by_itself_speaks_tls_only() {
    let mut recipe = Recipe::new("A public server by itself");
    recipe.run("topicserver user add", "");
    recipe.run("topicserver user password", PASSWORD);
    recipe.make_certificate();
    let server = recipe.serve();
    recipe.expect_over();
    let https = || Http::over_tls(server.v4());
    let origin = "origin: https://chat.example";
    let cookie = log_in(https(), origin);
    let answer = ask(https(), "POST", "/lab", &[origin, &cookie], "by the page");
    assert_eq!(answer.status, 200, "{answer:?}");
    // Without TLS nothing is taken, and what was sent so is to be replaced.
    let http = || {
        Http::over(
            std::net::TcpStream::connect(server.v4()).unwrap(),
            server.v4(),
        )
    };
    let answer = ask(http(), "GET", "/lab", &[], "");
    assert_eq!(answer.status, 308);
    let to = answer.header("location").unwrap();
    assert_eq!(to, "https://chat.example/lab");
    for (method, path) in [("POST", "/-/login"), ("GET", "/lab?ticket=ntk_x")] {
        let answer = ask(http(), method, path, &["origin: http://chat.example"], "");
        let text = answer.expect_problem(403, "tls-required");
        assert!(text.contains("replace it"), "{text}");
    }
}

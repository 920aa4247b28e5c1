//! Several addresses of one service. A server that is killed, and another one that takes over its
//! data on another port, are to `chat` what several servers of one service are.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use topicserver::{CertificateSource, Config, Server, TlsConfig, TlsMode};

use crate::process::{Process, file_of_lines};
use crate::server::{Running, start_server};

const PORT: &str = "TEST_MOVING_PORT";
const DATA: &str = "TEST_MOVING_DATA";

/// A topic server in a process of its own.
struct Killable {
    child: Child,
    address: String,
    data: PathBuf,
}

impl Killable {
    fn start(name: &str) -> Self {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("moving-{name}-{}", std::process::id()));
        let (child, address) = spawn("0", &data);
        Self {
            child,
            address,
            data,
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Has another one take over the data, on another port.
    fn start_elsewhere(&mut self, port: u16) {
        (self.child, self.address) = spawn(&port.to_string(), &self.data);
    }
}

impl Drop for Killable {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// Runs this very program as a server: its process, and its address.
fn spawn(port: &str, data: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "moving::is_a_server"])
        .env(PORT, port)
        .env(DATA, data)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().expect("the server has ended").unwrap();
        if let Some(address) = line.strip_prefix("listening on ") {
            break address.to_owned();
        }
    };
    // What else it says is read, so that it never blocks.
    std::thread::spawn(move || lines.for_each(drop));
    (child, address)
}

#[test]
#[ignore = "is the server of the other tests, in a process of its own"]
fn is_a_server() {
    let config = Config {
        bind: Some("127.0.0.1".parse().unwrap()),
        port: std::env::var(PORT).unwrap().parse().unwrap(),
        data: Some(std::env::var_os(DATA).unwrap().into()),
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::bind(config).unwrap();
        eprintln!("listening on {}", server.local_addr());
        server.run(std::future::pending()).await
    });
}

/// A port of this machine where nobody is.
fn nowhere() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn pipes_go_on_at_the_next_address_and_lose_double_and_reorder_nothing() {
    const LINES: usize = 3_000;
    let mut server = Killable::start("pipes");
    let port = nowhere();
    let both = format!("{},127.0.0.1:{port}", server.address);
    let mut reader = Process::chat(&["-topic", &both, "t"]);
    reader.notice(&format!("joined t at {}", server.address));
    let mut writer = Process::reading(file_of_lines(LINES, 200), &["-topic", &both, "t"]);
    for number in 0..LINES {
        if number == 200 {
            server.kill();
            server.start_elsewhere(port);
        }
        let line = reader.line();
        assert!(line.starts_with(&format!("t:{number} ")), "{line}");
    }
    assert_eq!(writer.exit_code(), 0);
    assert_eq!(reader.finishes(), 0);
    assert_eq!(reader.rest(), [""; 0]);
    let said = reader.notices();
    let again = format!("joined t at 127.0.0.1:{port} again");
    assert!(said.iter().any(|line| line.contains(&again)), "{said:?}");
}

#[cfg(unix)]
#[test]
fn a_person_goes_on_at_the_next_address_and_sees_which_one_it_is() {
    use crate::person::Person;
    use crate::pictures::Other;

    let mut server = Killable::start("person");
    let port = nowhere();
    let second = format!("127.0.0.1:{port}");
    let both = format!("{},{second}", server.address);
    let person = Person::sits_at(20, 100, &["-topic", &both, "t"]);
    person.sees("in t: ");
    let mut bob = Other::named("bob", &server.address, "t");
    bob.says("t", "before");
    person.sees("t:before");
    let first = server.address.clone();
    server.kill();
    person.sees(&format!("the connection to {first} is lost"));
    person.types("typed meanwhile\r");
    server.start_elsewhere(port);
    let mut bob = Other::named("bob", &second, "t");
    let picture = person.sees(&format!("joined t at {second} again"));
    let bar = picture.lines().find(|line| line.contains(" t ")).unwrap();
    assert!(bar.contains(&second) && !bar.contains(&first), "{picture}");
    // Whoever comes earlier hears it, whoever comes later doesn't.
    bob.says("t", "after");
    let picture = person.sees("t:after");
    for text in ["t:before", "t:typed meanwhile", "t:after"] {
        assert_eq!(picture.matches(text).count(), 1, "{picture}");
    }
}

#[test]
fn addresses_where_nobody_is_are_named_and_passed_over() {
    let (one, other) = (nowhere(), nowhere());
    let both = format!("127.0.0.1:{one},127.0.0.1:{other}");
    let mut chat = Process::chat(&["-topic", &both, "t"]);
    let said = chat.notice("none of the addresses can be used: ");
    for port in [one, other] {
        assert!(
            said.contains(&format!("127.0.0.1:{port} refused")),
            "{said}"
        );
    }
    assert_eq!(chat.exit_code(), 1);
    let server = start_server();
    let all = format!("{both},{server}");
    for _ in 0..5 {
        let mut chat = Process::chat(&["-topic", &all, "t", "--no-reconnect"]);
        let mut before = Vec::new();
        let joined = loop {
            let line = chat.next_notice();
            if line.contains("joined") {
                break line;
            }
            before.push(line);
        };
        assert!(joined.contains(&server), "{joined}");
        let is_passed = |line: &String| line.ends_with("; the next address is tried");
        assert!(before.iter().all(is_passed), "{before:?}");
        assert_eq!(chat.finishes(), 0);
    }
}

#[test]
fn a_call_by_name_asks_the_address_that_answers() {
    let server = start_server();
    let all = format!("127.0.0.1:{},{server}", nowhere());
    let nobody = format!("nobody@{all}");
    let mut chat = Process::chat(&["-direct", "0", &nobody]);
    chat.notice("; the next address is tried");
    chat.notice(&format!(
        "can't call nobody: {server} says: nobody here is called"
    ));
    assert_eq!(chat.exit_code(), 1);
}

#[test]
fn each_address_has_its_own_key_and_one_that_has_another_is_passed_over() {
    let data = |name: &str| {
        let name = format!("moving-{name}-{}", std::process::id());
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
    };
    let start = |name: &str| {
        Running::start(&Config {
            data: Some(data(name)),
            tls: TlsConfig {
                mode: Some(TlsMode::Required),
                certificate: Some(CertificateSource::SelfSigned { names: Vec::new() }),
                ..TlsConfig::default()
            },
            ..Config::default()
        })
    };
    let (one, other) = (start("one"), start("other"));
    let right = |server: &Running| server.fingerprint.clone().unwrap();
    // The key of the one is none of the other's.
    let wrong = format!("tls://{}#{}", one.address, right(&other));
    let both = format!("{wrong},tls://{}#{}", other.address, right(&other));
    for _ in 0..5 {
        let mut chat = Process::chat(&["-topic", &both, "t", "--no-reconnect"]);
        chat.notice(&format!("joined t at {}", other.address));
        assert_eq!(chat.finishes(), 0);
    }
    let mut chat = Process::chat(&["-topic", &wrong, "t"]);
    chat.notice(&format!("the key of {} has changed", one.address));
    assert_eq!(chat.exit_code(), 1);
    for (server, name) in [(one, "one"), (other, "other")] {
        server.stop();
        std::fs::remove_dir_all(data(name)).unwrap();
    }
}

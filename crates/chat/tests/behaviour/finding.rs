//! Finding servers on the local network: `topicserver --announce` and `chat -find`, in network
//! namespaces of the test's own.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use mdns_sd::{ScopedIp, ServiceDaemon, ServiceEvent};
use topicserver::{Config, Server};
use wire::SERVICE_TYPE;

use crate::process::LIMIT;
use crate::uninterrupted::read_some;

/// What a helper process does: it is this program, started in another namespace.
const TASK: &str = "FINDING_TASK";

/// Searches before a test gives up. Each takes 1.5 s.
const SEARCHES: usize = 20;

/// What helpers say begins with this: the test's harness writes there, too.
const MARK: &str = "helper: ";

/// This program, to be started as a helper.
fn helper(task: &str) -> Vec<String> {
    let program = std::env::current_exe().unwrap().display().to_string();
    let task = format!("{TASK}={task}");
    let rest = ["--exact", "finding::a_helper_does_its_task", "--nocapture"];
    let mut words = vec!["env".to_owned(), task, program];
    words.extend(rest.map(str::to_owned));
    words
}

#[test]
fn a_helper_does_its_task() {
    match std::env::var(TASK).as_deref() {
        Ok("serve") => serve(None, until_told),
        Ok("serve-ipv4") => serve(Some(Ipv4Addr::UNSPECIFIED.into()), until_told),
        Ok("watch") => watch(),
        Ok("alone") => serve(None, |_| {
            let found = find_until(&[], |found| !found.is_empty());
            found.lines().for_each(|line| println!("{MARK}{line}"));
        }),
        _ => {}
    }
}

/// Says the port, and waits for the end of the input.
fn until_told(port: u16) {
    println!("{MARK}{port}");
    let _ = read_some(&mut std::io::stdin(), &mut [0]);
}

/// Runs a server that announces itself, for as long as `meanwhile` takes.
fn serve(bind: Option<IpAddr>, meanwhile: impl FnOnce(u16) + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        announce: true,
        bind,
        host_name: Some("lab-box.example".into()),
        ..Config::default()
    };
    runtime.block_on(async {
        let server = Server::bind(config).unwrap();
        let port = server.local_addr().port();
        let meanwhile = tokio::task::spawn_blocking(move || meanwhile(port));
        server.run(async { meanwhile.await.unwrap() }).await;
    });
}

/// Says what comes and goes, until something has gone.
fn watch() {
    let events = ServiceDaemon::new().unwrap().browse(SERVICE_TYPE).unwrap();
    println!("{MARK}watching");
    while let Ok(event) = events.recv_timeout(LIMIT) {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let has_v6 = service.addresses.iter().any(ScopedIp::is_ipv6);
                let families = if has_v6 { "IPv6 too" } else { "IPv4" };
                println!("{MARK}there {} by {families}", service.fullname);
            }
            ServiceEvent::ServiceRemoved(_, name) => return println!("{MARK}gone {name}"),
            _ => {}
        }
    }
}

/// Runs `chat -find` behind these words.
fn find(before: &[&str]) -> Output {
    let mut words: Vec<&str> = before.to_vec();
    words.extend([env!("CARGO_BIN_EXE_chat"), "-find"]);
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Looks until what was found is enough.
fn find_until(before: &[&str], is_enough: impl Fn(&str) -> bool) -> String {
    let mut said = String::new();
    for _ in 0..SEARCHES {
        let output = find(before);
        let found = String::from_utf8(output.stdout).unwrap();
        if output.status.success() && is_enough(&found) {
            return found;
        }
        said = found + &String::from_utf8_lossy(&output.stderr);
    }
    panic!("not found: {said}");
}

/// A helper process, and what it says.
struct Helper {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<std::process::ChildStdout>,
}

impl Helper {
    fn start(before: &[&str], task: &str) -> Self {
        let words: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
        let words = [words, helper(task)].concat();
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            input: child.stdin.take(),
            child,
            output,
        }
    }

    /// The next thing it says; `None` at its end.
    fn says(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            // The harness may not have ended its own line.
            if let Some((_, said)) = line.trim_end().split_once(MARK) {
                return Some(said.to_owned());
            }
            line.clear();
        }
        None
    }
}

impl Helper {
    /// Waits until it says this.
    fn says_until(&mut self, part: &str) {
        let mut said = Vec::new();
        while let Some(line) = self.says() {
            if line.contains(part) {
                return;
            }
            said.push(line);
        }
        panic!("it didn't say {part:?}, but {said:#?}");
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `ip`; false if it isn't there, or may not.
fn ip(words: &str) -> bool {
    let output = Command::new("ip").args(words.split(' ')).output();
    output.is_ok_and(|output| output.status.success())
}

/// Two machines and the cable between them.
struct Network {
    names: [String; 2],
}

impl Network {
    /// `None` where it can't be made.
    fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{count}", std::process::id());
        let network = Self {
            names: [format!("natter-a-{id}"), format!("natter-b-{id}")],
        };
        let [a, b] = &network.names;
        let steps = [
            format!("netns add {a}"),
            format!("netns add {b}"),
            format!("link add cable netns {a} type veth peer name cable netns {b}"),
            format!("-n {a} addr add 10.77.0.1/24 dev cable"),
            format!("-n {b} addr add 10.77.0.2/24 dev cable"),
            format!("-n {a} link set cable up"),
            format!("-n {b} link set cable up"),
            format!("-n {a} link set lo up"),
            format!("-n {b} link set lo up"),
        ];
        steps.iter().all(|step| ip(step)).then_some(network)
    }

    /// Whether the system speaks IPv6.
    fn has_ipv6(&self) -> bool {
        let words = ["-n", &self.names[0], "-6", "addr", "show", "dev", "lo"];
        let output = Command::new("ip").args(words).output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("::1"))
    }

    /// The words that run something on one of the machines.
    fn at(&self, machine: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.names[machine]]
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&format!("netns del {name}"));
        }
    }
}

#[test]
fn a_server_on_another_machine_is_found_and_says_when_it_goes() {
    let Some(network) = Network::new() else {
        println!("skipped: it takes root and network namespaces");
        return;
    };
    let mut server = Helper::start(&network.at(0), "serve");
    let port = server.says().unwrap();
    let found = find_until(&network.at(1), |found| found.contains("10.77.0.1"));
    let mut lines = found.lines();
    let first = format!("lab-box:{port} at 10.77.0.1:{port}, without TLS");
    assert_eq!(lines.next(), Some(first.as_str()), "{found}");
    let join = format!("  chat -topic 10.77.0.1:{port} TOPIC");
    assert_eq!(lines.next(), Some(join.as_str()), "{found}");
    assert_eq!(lines.next(), None, "{found}");

    let mut watcher = Helper::start(&network.at(1), "watch");
    assert_eq!(watcher.says().as_deref(), Some("watching"));
    let name = format!("lab-box:{port}.{SERVICE_TYPE}");
    watcher.says_until(&format!("there {name} by "));
    drop(server.input.take());
    watcher.says_until(&format!("gone {name}"));
    let none = find(&network.at(1));
    assert_eq!(none.status.code(), Some(1));
    assert!(none.stdout.is_empty());
    let said = String::from_utf8(none.stderr).unwrap();
    assert!(
        said.contains("no server on this network announces itself"),
        "{said}"
    );
}

#[test]
fn only_the_families_that_are_listened_on_are_announced() {
    let Some(network) = Network::new() else {
        println!("skipped: it takes root and network namespaces");
        return;
    };
    let both = Helper::start(&network.at(0), "serve");
    let mut watcher = Helper::start(&network.at(1), "watch");
    if !network.has_ipv6() {
        println!("skipped: there is no IPv6");
        return;
    }
    watcher.says_until("by IPv6 too");
    drop((both, watcher));
    // By now the machines have their addresses of IPv6.
    let mut server = Helper::start(&network.at(0), "serve-ipv4");
    let name = format!("lab-box:{}.{SERVICE_TYPE}", server.says().unwrap());
    let mut watcher = Helper::start(&network.at(1), "watch");
    watcher.says_until(&format!("there {name} by IPv4"));
    drop(server.input.take());
    let mut said = std::iter::from_fn(|| watcher.says()).collect::<Vec<_>>();
    assert_eq!(said.pop(), Some(format!("gone {name}")));
    assert!(
        !said
            .iter()
            .any(|line| line.contains(&name) && line.contains("IPv6")),
        "{said:#?}"
    );
}

#[test]
fn a_server_on_the_same_machine_is_found_without_a_network() {
    let mut words = vec!["unshare", "--net"];
    if !nix::unistd::getuid().is_root() {
        words.push("--map-root-user");
    }
    words.extend(["sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]);
    let probe = Command::new(words[0])
        .args(&words[1..])
        .arg("true")
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        println!("skipped: it takes a network namespace");
        return;
    }
    let mut both = Helper::start(&words, "alone");
    let found = both.says().unwrap();
    assert!(found.starts_with("lab-box:"), "{found}");
    assert!(found.contains(" at 127.0.0.1:"), "{found}");
    assert!(both.says().unwrap().contains("chat -topic 127.0.0.1:"));
}

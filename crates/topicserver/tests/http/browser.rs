//! A real browser, driven over WebDriver: Debian's chromium and its driver. The
//! protocol is HTTP with JSON, so nothing more than that is needed for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{LIMIT, eventually, read_some, secrets};
use crate::requests::Http;

/// The key of an element's name in WebDriver.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How long the driver may take for anything. On a busy machine a browser needs more than half a
/// minute to start.
const DRIVER_LIMIT: Duration = Duration::from_secs(180);

/// Keys as WebDriver writes them.
pub const ENTER: &str = "\u{e007}";
pub const ESCAPE: &str = "\u{e00c}";

/// A driver of its own. It ends when this is dropped, and its browsers with it.
pub struct Driver {
    child: Child,
    addr: SocketAddr,
}

/// A browser of its own, which nobody has used before.
pub struct Browser {
    addr: SocketAddr,
    session: String,
    data: PathBuf,
}

impl Driver {
    /// `None`, with the reason printed, where there is no browser.
    pub fn start() -> Option<Self> {
        let child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: chromedriver can't be started ({error})");
                return None;
            }
        };
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let port = loop {
            line.clear();
            assert!(
                stdout.read_line(&mut line).unwrap() > 0,
                "chromedriver ended"
            );
            let port = line
                .split("on port ")
                .nth(1)
                .filter(|_| line.contains("success"));
            if let Some(port) = port {
                break port.trim().trim_end_matches('.').parse().unwrap();
            }
        };
        // What it says later must not fill the pipe.
        std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Some(Self { child, addr })
    }

    /// A browser with a window of this size.
    pub fn browser(&self, width: u32, height: u32) -> Browser {
        self.browser_with(width, height, &[])
    }

    /// The same, started with further options.
    pub fn browser_with(&self, width: u32, height: u32, more: &[String]) -> Browser {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("natter-page-{}-{number}", std::process::id());
        let data = std::env::temp_dir().join(name);
        let usual = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let mut arguments: Vec<_> = usual.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", data.display()));
        arguments.extend_from_slice(more);
        let options = json!({ "args": arguments });
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = call(self.addr, "POST", "/session", &wanted);
        let session = session["sessionId"].as_str().unwrap();
        let browser = Browser {
            addr: self.addr,
            session: format!("/session/{session}"),
            data,
        };
        browser.resize(width, height);
        browser
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Its browsers would outlive it.
        bid_farewell(self.addr, "GET", "/shutdown");
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks the driver to end something. A test that has failed comes here too: nothing in
/// it may fail again.
fn bid_farewell(addr: SocketAddr, method: &str, path: &str) {
    let Ok(mut stream) = TcpStream::connect_timeout(&addr, LIMIT) else {
        return;
    };
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    let _ = stream.set_read_timeout(Some(LIMIT));
    let _ = stream.write_all(request.as_bytes());
    // The answer comes when it has ended; the driver keeps the connection.
    let _ = read_some(&mut stream, &mut [0; 1024]);
}

/// Asks the driver something.
#[track_caller]
fn call(addr: SocketAddr, method: &str, path: &str, body: &Value) -> Value {
    let stream = TcpStream::connect_timeout(&addr, LIMIT).unwrap();
    let patient = stream.try_clone().unwrap();
    let mut http = Http::over(stream, addr);
    patient.set_read_timeout(Some(DRIVER_LIMIT)).unwrap();
    let body = body.to_string();
    let body = if method == "POST" {
        body.as_bytes()
    } else {
        b""
    };
    let json = "content-type: application/json";
    http.ask(method, path, &[json], body);
    let answer = http.answer();
    let value = answer.json()["value"].clone();
    assert_eq!(answer.status, 200, "{method} {path}: {value}");
    value
}

impl Browser {
    #[track_caller]
    fn call(&self, method: &str, path: &str, body: Value) -> Value {
        call(self.addr, method, &format!("{}{path}", self.session), &body)
    }

    fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.call("POST", "/goog/cdp/execute", body)
    }

    /// Makes the visible part of the page so large.
    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size);
    }

    /// Takes something away from the pages that this tab opens from now on.
    pub fn without(&self, global: &str) {
        self.run_first(&format!("delete window.{global}"));
    }

    /// Runs something before anything else in the pages that this tab opens from now on.
    pub fn run_first(&self, source: &str) {
        self.devtools(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": source }),
        );
    }

    /// Lets the system of the browser's user be dark or light.
    pub fn prefer(&self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.devtools("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    #[track_caller]
    pub fn open(&self, url: &str) {
        self.call("POST", "/url", json!({ "url": url }));
    }

    /// Opens one more tab of the same browser, which is driven from now on.
    pub fn open_tab(&self) -> String {
        let tab = self.call("POST", "/window/new", json!({"type": "tab"}));
        let handle = tab["handle"].as_str().unwrap().to_owned();
        self.use_tab(&handle);
        handle
    }

    /// The tab that is driven.
    pub fn tab(&self) -> String {
        let handle = self.call("GET", "/window", json!({}));
        handle.as_str().unwrap().to_owned()
    }

    /// Closes the tab that is driven.
    pub fn close_tab(&self) {
        self.call("DELETE", "/window", json!({}));
    }

    /// Drives another tab, which comes to the front.
    pub fn use_tab(&self, handle: &str) {
        self.call("POST", "/window", json!({ "handle": handle }));
    }

    pub fn reload(&self) {
        self.call("POST", "/refresh", json!({}));
    }

    /// What a function's body returns in the page.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.call(
            "POST",
            "/execute/sync",
            json!({"script": script, "args": []}),
        )
    }

    /// What a function's body passes to its last argument in the page.
    #[track_caller]
    pub fn run_async(&self, script: &str) -> Value {
        self.call(
            "POST",
            "/execute/async",
            json!({"script": script, "args": []}),
        )
    }

    /// Waits until an expression is true in the page.
    #[track_caller]
    pub fn wait(&self, expression: &str) {
        eventually(
            &format!("{expression}; the page: {}", self.text("body")),
            || {
                let is_true = self.run(&format!("return Boolean({expression})"));
                (is_true == true).then_some(())
            },
        );
    }

    /// The text that a person sees in an element.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({selector:?})?.innerText ?? ''");
        self.run(&script).as_str().unwrap_or_default().to_owned()
    }

    /// Presses keys in an element.
    #[track_caller]
    pub fn write(&self, selector: &str, text: &str) {
        if selector == "#password" {
            secrets::note(secrets::Kind::Password, text);
        }
        let found = json!({"using": "css selector", "value": selector});
        let element = self.call("POST", "/element", found);
        let element = element[ELEMENT].as_str().unwrap();
        let path = format!("/element/{element}/value");
        let has_key = |character: &char| character.len_utf16() == 1;
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|next| has_key(&next) != has_key(&first));
            let (part, others) = rest.split_at(end.unwrap_or(rest.len()));
            if has_key(&first) {
                self.call("POST", &path, json!({ "text": part }));
            } else {
                // Some drivers have no keys for these.
                let text = json!(part);
                self.run(&format!(
                    "document.querySelector({selector:?}).focus();
                     document.execCommand('insertText', false, {text})"
                ));
            }
            rest = others;
        }
    }

    /// Has no log show the logins that the browser keeps, which no script can read.
    pub fn note_cookies(&self) {
        let all = self.devtools("Network.getAllCookies", json!({}));
        for cookie in all["cookies"].as_array().unwrap() {
            secrets::note(secrets::Kind::Cookie, cookie["value"].as_str().unwrap());
        }
    }

    /// Presses keys wherever the keyboard is.
    #[track_caller]
    pub fn press(&self, keys: &[&str]) {
        let down = keys
            .iter()
            .map(|key| json!({"type": "keyDown", "value": key}));
        let up = keys
            .iter()
            .rev()
            .map(|key| json!({"type": "keyUp", "value": key}));
        let actions: Vec<_> = down.chain(up).collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.call("POST", "/actions", json!({"actions": [keyboard]}));
    }

    #[track_caller]
    pub fn click(&self, selector: &str) {
        let found = json!({"using": "css selector", "value": selector});
        let element = self.call("POST", "/element", found);
        let element = element[ELEMENT].as_str().unwrap();
        self.call("POST", &format!("/element/{element}/click"), json!({}));
    }

    /// Keeps what the page looks like, as a file of the test's.
    pub fn keep_picture(&self, name: &str) {
        let picture = self.call("GET", "/screenshot", json!({}));
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        std::fs::write(&file, decode_base64(picture.as_str().unwrap())).unwrap();
        println!("a picture of the page: {}", file.display());
    }

    /// What the page, and the browser about it, has complained of.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.call("POST", "/se/log", json!({"type": "browser"}));
        let lines = log.as_array().unwrap().iter();
        lines
            .filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING")
            .map(|line| line["message"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        bid_farewell(self.addr, "DELETE", &self.session);
        // What is left lies among the system's temporary files.
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

fn decode_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

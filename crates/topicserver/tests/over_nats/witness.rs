//! What clients see of a cluster, and where a balancer would send them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Harness, random};
use crate::links::{PATIENCE, status};
use crate::servers::COUNT;

/// The pause of a balancer between two questions whether a server is ready.
const LOOK: Duration = Duration::from_millis(50);

/// Notes what clients are told that they shouldn't be, and how long they wait for
/// acknowledgements.
pub struct Witness<'a> {
    pub harness: &'a Harness,
    began: Instant,
    /// Which servers a balancer sends clients to.
    ready: [AtomicBool; COUNT],
    steps: Mutex<Vec<Step>>,
    complaints: Mutex<Vec<String>>,
}

/// Something that is done to the cluster.
struct Step {
    name: String,
    began: Instant,
    /// The longest time from sending a message to its acknowledgement that ended in this step.
    longest: Duration,
    /// Who waited so long.
    who: String,
}

impl<'a> Witness<'a> {
    pub fn new(harness: &'a Harness) -> Self {
        Self {
            harness,
            began: Instant::now(),
            ready: Default::default(),
            steps: Mutex::default(),
            complaints: Mutex::default(),
        }
    }

    /// From now on something else is done.
    pub fn begin(&self, name: &str) {
        self.steps.lock().unwrap().push(Step {
            name: name.to_owned(),
            began: Instant::now(),
            longest: Duration::ZERO,
            who: String::new(),
        });
    }

    /// A client was told, or has met, what nobody should.
    pub fn complain(&self, who: &str, what: &str) {
        let steps = self.steps.lock().unwrap();
        let step = steps.last().map_or("the start", |step| &step.name);
        let complaint = format!("{:.3?}, {step}: {who}: {what}", self.began.elapsed());
        println!("{complaint}");
        self.complaints.lock().unwrap().push(complaint);
    }

    /// A message was acknowledged that was sent first at this time.
    pub fn acknowledged(&self, who: &str, sent: Instant) {
        let took = sent.elapsed();
        let mut steps = self.steps.lock().unwrap();
        if let Some(step) = steps.last_mut().filter(|step| step.longest < took) {
            step.longest = took;
            who.clone_into(&mut step.who);
        }
    }

    /// Asks the servers again and again whether they are ready.
    pub fn balance(&self) {
        while !self.harness.is_over.load(SeqCst) {
            for (server, ready) in self.ready.iter().enumerate() {
                let addr = self.harness.addr(server).unwrap();
                ready.store(is_ready(addr), SeqCst);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Where a balancer sends the next client.
    pub fn balanced(&self) -> SocketAddr {
        self.harness.wait("a server that is ready", || {
            let server = random(COUNT as u64) as usize;
            let is_ready = self.ready[server].load(SeqCst);
            self.harness.addr(server).filter(|_| is_ready)
        })
    }

    pub fn is_ready(&self, server: usize) -> bool {
        self.ready[server].load(SeqCst)
    }

    /// Prints how long acknowledgements took in each step.
    pub fn report(&self) {
        let steps = self.steps.lock().unwrap();
        for step in steps.iter() {
            let (name, longest, who) = (&step.name, step.longest, &step.who);
            println!("{name}: the longest acknowledgement took {longest:.0?} ({who})");
        }
    }

    pub fn expect_no_complaint(&self) {
        let complaints = self.complaints.lock().unwrap();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    /// How long the present step has taken.
    pub fn took(&self) -> Duration {
        let steps = self.steps.lock().unwrap();
        steps
            .last()
            .map_or(Duration::ZERO, |step| step.began.elapsed())
    }
}

fn is_ready(addr: SocketAddr) -> bool {
    matches!(
        request(addr, "GET", "/-/ready", ""),
        Outcome::Answered(200, _)
    )
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// Nobody listened: a balancer sends it elsewhere.
    Refused,
    /// It isn't known what the server did.
    #[allow(dead_code, reason = "a complaint shows it")]
    Lost(String),
    Answered(u16, Value),
}

/// Makes a request over a connection of its own.
pub fn request(addr: SocketAddr, method: &str, path: &str, body: &str) -> Outcome {
    let mut stream = match TcpStream::connect_timeout(&addr, PATIENCE) {
        Ok(stream) => stream,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            return Outcome::Refused;
        }
        Err(error) => return Outcome::Lost(error.to_string()),
    };
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nhost: {addr}\r\ncontent-length: {length}");
    let mut answer = String::new();
    // Longer than the server takes to say that it doesn't know.
    let limit = Some(4 * PATIENCE);
    let exchanged = stream
        .set_read_timeout(limit)
        .and_then(|()| stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()))
        .and_then(|()| stream.read_to_string(&mut answer));
    match (exchanged, answer.split_once("\r\n\r\n")) {
        (Err(error), _) => Outcome::Lost(error.to_string()),
        (Ok(_), None) => Outcome::Lost(format!("the answer was {answer:?}")),
        (Ok(_), Some((head, body))) => {
            // What comes before the end of a stream are notices.
            let last = body.lines().next_back().unwrap_or_default();
            let body = serde_json::from_str(last).unwrap_or(Value::Null);
            Outcome::Answered(status(head), body)
        }
    }
}

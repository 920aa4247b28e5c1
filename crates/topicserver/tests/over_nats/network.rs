//! Three machines on one network, as network namespaces: each can be cut off from the others, and
//! clients reach it all the same, by a cable of their own.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use crate::harness::random;
use crate::nats::Machine;
use crate::servers::COUNT;

/// The network. It is gone when it is dropped.
pub struct Network {
    /// What names begin with.
    id: String,
    /// Which of the private networks its addresses are of.
    block: u8,
}

impl Network {
    /// `None` where it can't be made.
    pub fn new() -> Option<Self> {
        let network = Self {
            id: format!("nt{:x}", std::process::id()),
            block: 1 + u8::try_from(random(250)).unwrap(),
        };
        network.make().then_some(network)
    }

    fn make(&self) -> bool {
        let (id, block) = (&self.id, self.block);
        let mut steps = vec![
            format!("netns add {id}s"),
            format!("-n {id}s link add hub type bridge"),
            format!("-n {id}s link set hub up"),
            format!("link add {id}r type veth peer name r netns {id}s"),
            format!("-n {id}s link set r master hub up"),
            format!("addr add 10.78.{block}.254/24 dev {id}r"),
            format!("link set {id}r up"),
        ];
        for machine in 0..COUNT {
            let own = format!("{id}m{machine}");
            let net = 4 * machine;
            steps.extend([
                format!("netns add {own}"),
                format!("-n {own} link set lo up"),
                format!("link add hub netns {own} type veth peer name p{machine} netns {id}s"),
                format!("-n {id}s link set p{machine} master hub up"),
                format!("-n {own} addr add {}/24 dev hub", self.host(machine)),
                format!("-n {own} link set hub up"),
                format!("link add {own} type veth peer name door netns {own}"),
                format!("addr add 10.79.{block}.{}/30 dev {own}", net + 1),
                format!("link set {own} up"),
                format!("-n {own} addr add {}/30 dev door", self.door(machine)),
                format!("-n {own} link set door up"),
            ]);
        }
        steps.iter().all(|step| ip(step))
    }

    /// Where the other machines reach this one.
    fn host(&self, machine: usize) -> Ipv4Addr {
        let last = u8::try_from(machine + 1).unwrap();
        [10, 78, self.block, last].into()
    }

    /// Where clients reach it.
    fn door(&self, machine: usize) -> Ipv4Addr {
        let last = u8::try_from(4 * machine + 2).unwrap();
        [10, 79, self.block, last].into()
    }

    fn at(&self, machine: usize, host: Ipv4Addr) -> Machine {
        let name = format!("{}m{machine}", self.id);
        let words = ["ip", "netns", "exec", &name].map(str::to_owned);
        Machine {
            host,
            words: words.into(),
        }
    }

    /// The machines, as they reach one another.
    pub fn machines(&self) -> Vec<Machine> {
        let machine = |number| self.at(number, self.host(number));
        (0..COUNT).map(machine).collect()
    }

    /// The machines, as clients reach them.
    pub fn doors(&self) -> Vec<Machine> {
        let machine = |number| self.at(number, self.door(number));
        (0..COUNT).map(machine).collect()
    }

    /// Cuts a machine off from the others, without a word to anybody, or joins it again.
    pub fn cut(&self, machine: usize, is_cut: bool) {
        let state = if is_cut { "down" } else { "up" };
        let done = ip(&format!("-n {}s link set p{machine} {state}", self.id));
        assert!(done, "can't set a cable {state}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The interfaces go with them.
        for machine in 0..COUNT {
            ip(&format!("netns del {}m{machine}", self.id));
        }
        ip(&format!("netns del {}s", self.id));
    }
}

fn ip(words: &str) -> bool {
    let mut command = Command::new("ip");
    let command = command.args(words.split(' ')).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

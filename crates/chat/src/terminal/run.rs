//! The thread of the screen: keys, what happens, the clock and the window's size go into
//! [`Ui`], and pictures come out.
//!
//! It has a runtime of its own, so that a terminal that takes nothing blocks nobody else.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use super::Notify;
use super::burst::Bursts;
use super::draw::last_lines;
use super::keys::{Input, KeyParser, Wheel};
use super::painter::Painter;
use super::reader::Read;
use super::ui::{Effect, Ui};
use super::window::Window;
use crate::input::lines::Typed;
use crate::output::item::Item;
use crate::system;

/// The shortest pause before what happens is drawn: faster than anybody reads. A key is drawn
/// at once.
const PACE: Duration = Duration::from_millis(33);
/// The pause is so many times as long as the last drawing took, so that drawing what happens
/// takes a fifth of a processor at most, however large the window or slow the terminal is.
const PAUSE_FACTOR: u32 = 4;
/// A longer pause would look like a program that hangs.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How long the rest of a key's sequence may be in coming.
const SEQUENCE: Duration = Duration::from_millis(600);
/// An escape character after which nothing has come for so long is the key: a person's next key
/// takes longer, a terminal's next byte does not, but on a bad line.
const ESCAPE: Duration = Duration::from_millis(120);
/// Bells in quick succession are one.
const BELL_EVERY: Duration = Duration::from_secs(1);
/// So many equal arrows at once are the wheel, as terminals send it.
const WHEEL_ARROWS: usize = 3;

/// Where everything comes from and goes.
pub(super) struct Ends {
    pub(super) keys: mpsc::Receiver<Read>,
    pub(super) items: mpsc::Receiver<Vec<Item>>,
    /// Dropped when the person has ended the input.
    pub(super) to_input: Option<mpsc::Sender<Vec<Typed>>>,
    /// The end of the program wants the terminal back.
    pub(super) stop: oneshot::Receiver<()>,
    /// Told if the person leaves without what was not sent.
    pub(super) abandon: Option<oneshot::Sender<(usize, String)>>,
}

/// See the module.
pub(super) struct Screen {
    ui: Ui,
    window: Arc<Window>,
    ends: Ends,
    painter: Painter,
    parser: KeyParser,
    bursts: Bursts,
    /// When the terminal sent something last.
    heard: Instant,
    /// Until then what happens isn't drawn.
    pause_end: Instant,
    /// Something has happened since it was drawn last.
    is_stale: bool,
    rang: Option<Instant>,
}

/// What it woke up for.
enum Woken {
    Read(Option<Read>),
    Items(Option<Vec<Item>>),
    Handed,
    Signal(system::ScreenSignal),
    Time,
    Stop,
}

impl Screen {
    pub(super) fn new(ui: Ui, window: Arc<Window>, ends: Ends, painter: Painter) -> Self {
        Self {
            ui,
            window,
            ends,
            painter,
            parser: KeyParser::default(),
            bursts: Bursts::default(),
            heard: Instant::now(),
            pause_end: Instant::now(),
            is_stale: true,
            rang: None,
        }
    }

    /// Shows and takes everything until the conversation is over. What was on the screen
    /// last stands on the normal screen then.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let mut result = self.go().await;
        if let Err(error) = &result
            && (error.kind() == io::ErrorKind::BrokenPipe || system::is_hang_up(error))
        {
            system::hang_up();
            tokio::select! {
                () = system::hung_up() => {}
                // A sender that is gone wants the same.
                _ = &mut self.ends.stop => {}
            }
            result = Err(io::ErrorKind::BrokenPipe.into());
        }
        let last = match &result {
            Ok(()) => self.last_words(),
            Err(_) => String::new(),
        };
        self.window.close(&last);
        result
    }

    async fn go(&mut self) -> io::Result<()> {
        let mut signals = system::ScreenSignals::new()?;
        // Nobody has told us of a window that changed its size before that.
        self.ui.resize(super::size());
        self.window.take()?;
        self.draw()?;
        loop {
            match self.wait(&mut signals).await {
                Woken::Read(Some(read)) => self.take_all(read)?,
                Woken::Read(None) => {}
                Woken::Items(Some(items)) => {
                    self.set_time();
                    items.into_iter().for_each(|item| self.ui.take_item(item));
                    self.is_stale = true;
                }
                Woken::Items(None) | Woken::Stop => return Ok(()),
                Woken::Handed => {}
                Woken::Signal(signal) => self.signalled(signal)?,
                Woken::Time => self.on_time(),
            }
            self.perform()?;
            if self.ui.has_ended() {
                self.ends.to_input = None;
            }
            if self.is_stale && self.pause_end <= Instant::now() {
                self.draw()?;
            }
        }
    }

    async fn wait(&mut self, signals: &mut system::ScreenSignals) -> Woken {
        let deadline = self.deadline();
        let has_outgoing = self.ui.has_outgoing() && self.ends.to_input.is_some();
        // What its thread has read last is still to be taken when that has ended.
        let has_keys = !(self.ends.keys.is_closed() && self.ends.keys.is_empty());
        let Self { ui, ends, .. } = self;
        tokio::select! {
            // What the person does comes first, and what happens elsewhere last: there may
            // always be more of it.
            biased;
            _ = &mut ends.stop => Woken::Stop,
            read = ends.keys.recv(), if has_keys => Woken::Read(read),
            permit = reserve(ends.to_input.as_ref()), if has_outgoing => {
                match permit {
                    Some(permit) => permit.send(ui.take_outgoing()),
                    // The conversation takes no more; its end comes soon.
                    None => drop(ui.take_outgoing()),
                }
                Woken::Handed
            }
            signal = signals.next() => Woken::Signal(signal),
            () = sleep_until(deadline.into()) => Woken::Time,
            items = ends.items.recv() => Woken::Items(items),
        }
    }

    /// When there is something to do although nothing happens.
    fn deadline(&self) -> Instant {
        let sequence = self
            .parser
            .is_waiting()
            .then(|| self.heard + self.patience());
        let drawing = self.is_stale.then_some(self.pause_end);
        let deadlines = [sequence, drawing, self.bursts.deadline()];
        let far = Instant::now() + Duration::from_secs(60);
        deadlines.into_iter().flatten().min().unwrap_or(far)
    }

    /// How long the rest of what has begun is waited for.
    fn patience(&self) -> Duration {
        match self.parser.is_at_escape() {
            true => ESCAPE,
            false => SEQUENCE,
        }
    }

    fn on_time(&mut self) {
        self.set_time();
        let now = Instant::now();
        if self.parser.is_waiting() && now >= self.heard + self.patience() {
            let mut inputs = Vec::new();
            match self.parser.is_at_escape() {
                true => self.parser.take_escape(&mut inputs),
                false => self.parser.give_up(&mut inputs),
            }
            self.push(inputs, now);
        }
        let mut steps = Vec::new();
        self.bursts.check(now, &mut steps);
        self.take_steps(steps);
    }

    /// Takes what was read, and all that is there already, before anything is drawn.
    fn take_all(&mut self, first: Read) -> io::Result<()> {
        self.set_time();
        let mut next = Some(first);
        while let Some(read) = next {
            self.heard = Instant::now();
            let mut inputs = Vec::new();
            match read {
                Read::Bytes(bytes) => self.parser.push(&bytes, &mut inputs),
                #[cfg(windows)]
                Read::Inputs(keys) => inputs = keys,
                Read::Gone => return Err(io::ErrorKind::BrokenPipe.into()),
            }
            self.push(with_wheel(inputs), self.heard);
            next = self.ends.keys.try_recv().ok();
        }
        // A key is shown at once.
        self.perform()?;
        self.draw()
    }

    fn push(&mut self, inputs: Vec<Input>, now: Instant) {
        let mut steps = Vec::new();
        self.bursts.push(inputs, now, &mut steps);
        self.take_steps(steps);
    }

    fn take_steps(&mut self, steps: Vec<super::burst::BurstEvent>) {
        self.is_stale |= !steps.is_empty();
        steps.into_iter().for_each(|step| self.ui.take_step(step));
    }

    fn set_time(&mut self) {
        self.ui.set_time(super::now());
    }

    fn signalled(&mut self, signal: system::ScreenSignal) -> io::Result<()> {
        if signal == system::ScreenSignal::Continued {
            self.retake()?;
        }
        self.ui.resize(super::size());
        self.draw()
    }

    /// Takes the screen again after somebody else had it.
    fn retake(&mut self) -> io::Result<()> {
        self.window.take()?;
        self.painter.forget();
        self.ui.resize(super::size());
        self.is_stale = true;
        Ok(())
    }

    fn perform(&mut self) -> io::Result<()> {
        for effect in self.ui.take_effects() {
            match effect {
                Effect::Bell => {
                    let is_due = |rang: Instant| rang.elapsed() >= BELL_EVERY;
                    if self.rang.is_none_or(is_due) {
                        self.rang = Some(Instant::now());
                        self.window.draw("\x07")?;
                    }
                }
                Effect::Notify(how, text) => self.window.draw(&notification(how, &text))?,
                Effect::Redraw => self.painter.forget(),
                Effect::Suspend => {
                    self.window.give_back();
                    system::stop();
                    self.retake()?;
                }
                Effect::Interrupt => system::interrupt(),
                Effect::Abandon { count, first } => {
                    if let Some(abandon) = self.ends.abandon.take() {
                        // A conversation that is over needn't know.
                        let _ = abandon.send((count, first));
                    }
                }
            }
            self.is_stale = true;
        }
        Ok(())
    }

    fn draw(&mut self) -> io::Result<()> {
        let began = Instant::now();
        let update = self.painter.paint(self.ui.draw());
        let result = self.window.draw(&update);
        let ended = Instant::now();
        self.pause_end = ended + pause_after(ended - began);
        self.is_stale = false;
        result
    }

    /// What is left on the normal screen.
    fn last_words(&mut self) -> String {
        self.ui.go_to_end();
        let canvas = self.ui.draw();
        let lines = last_lines(&canvas, self.ui.areas().messages);
        lines.iter().map(|line| format!("{line}\r\n")).collect()
    }
}

/// How long what happens waits to be drawn, after a drawing that took so long.
fn pause_after(drawing: Duration) -> Duration {
    (drawing * PAUSE_FACTOR).clamp(PACE, LONGEST_PAUSE)
}

/// Waits for room for what was typed.
async fn reserve(
    to_input: Option<&mpsc::Sender<Vec<Typed>>>,
) -> Option<mpsc::Permit<'_, Vec<Typed>>> {
    to_input?.reserve().await.ok()
}

/// Terminals send several arrows for each step of the wheel, where the mouse isn't reported.
fn with_wheel(inputs: Vec<Input>) -> Vec<Input> {
    use super::keys::{Code, Key};
    let is = |input: &Input, code| *input == Input::Key(Key::plain(code));
    let are_all = |code| inputs.iter().all(|input| is(input, code));
    if inputs.len() < WHEEL_ARROWS {
        return inputs;
    }
    let steps = inputs.len() / WHEEL_ARROWS;
    match (are_all(Code::Up), are_all(Code::Down)) {
        (true, _) => vec![Input::Wheel(Wheel::Up); steps],
        (_, true) => vec![Input::Wheel(Wheel::Down); steps],
        _ => inputs,
    }
}

/// A notification of the desktop's, in the form that the terminal knows.
fn notification(how: Notify, text: &str) -> String {
    let clean: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    match how {
        Notify::Never => String::new(),
        Notify::Osc9 => format!("\x1b]9;natter: {clean}\x1b\\"),
        // This one has fields.
        Notify::Osc777 => format!("\x1b]777;notify;natter;{}\x1b\\", clean.replace(';', ",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_takes_a_fifth_of_the_time_at_most_and_never_pauses_for_long() {
        let milliseconds = Duration::from_millis;
        for (drawing, pause) in [(0, 33), (1, 33), (20, 80), (60, 240), (2_000, 250)] {
            assert_eq!(pause_after(milliseconds(drawing)), milliseconds(pause));
        }
    }
}

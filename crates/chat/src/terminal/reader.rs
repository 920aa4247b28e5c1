//! The thread that reads the keyboard. It only blocks while nothing is typed.

use tokio::sync::mpsc;

/// What was read.
#[derive(Debug)]
pub(super) enum Read {
    /// Bytes, as the terminal sent them.
    #[cfg_attr(windows, expect(dead_code, reason = "keys come as such there"))]
    Bytes(Vec<u8>),
    /// Keys, where the system reports keys.
    #[cfg(windows)]
    Inputs(Vec<super::keys::Input>),
    /// The terminal is gone.
    Gone,
}

/// Reads until nobody wants it any more.
#[cfg(unix)]
pub(super) fn run(to: &mpsc::Sender<Read>) {
    use std::io::{ErrorKind, Read as _};
    /// More than any terminal sends at once.
    const PIECE: usize = 64 * 1024;
    let mut bytes = vec![0; PIECE];
    // Not through a buffer of the library's: what is read is handed on at once.
    let Ok(mut stdin) = crate::system::stdin_file() else {
        let _ = to.blocking_send(Read::Gone);
        return;
    };
    loop {
        let read = match stdin.read(&mut bytes) {
            Ok(0) => Read::Gone,
            Ok(count) => Read::Bytes(bytes[..count].to_vec()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // While nothing is typed, another program that shares the terminal must not wait
                // for this one.
                crate::system::wait_for_input();
                continue;
            }
            Err(_) => Read::Gone,
        };
        let is_last = matches!(read, Read::Gone);
        if to.blocking_send(read).is_err() || is_last {
            return;
        }
    }
}

/// Reads until nobody wants it any more.
#[cfg(windows)]
pub(super) fn run(to: &mpsc::Sender<Read>) {
    use super::keys::{Code, Input, Key};
    use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
    loop {
        let inputs = match read() {
            Err(_) => {
                let _ = to.blocking_send(Read::Gone);
                return;
            }
            Ok(Event::Paste(text)) => {
                vec![Input::Paste(text.replace("\r\n", "\n")), Input::PasteEnd]
            }
            Ok(Event::Key(event)) if event.kind != KeyEventKind::Release => {
                let code = match event.code {
                    KeyCode::Char(c) => Code::Char(c),
                    KeyCode::Enter => Code::Enter,
                    KeyCode::Tab | KeyCode::BackTab => Code::Tab,
                    KeyCode::Backspace => Code::Backspace,
                    KeyCode::Delete => Code::Delete,
                    KeyCode::Esc => Code::Escape,
                    KeyCode::Up => Code::Up,
                    KeyCode::Down => Code::Down,
                    KeyCode::Left => Code::Left,
                    KeyCode::Right => Code::Right,
                    KeyCode::Home => Code::Home,
                    KeyCode::End => Code::End,
                    KeyCode::PageUp => Code::PageUp,
                    KeyCode::PageDown => Code::PageDown,
                    _ => continue,
                };
                let has = |modifier| event.modifiers.contains(modifier);
                vec![Input::Key(Key {
                    code,
                    ctrl: has(KeyModifiers::CONTROL),
                    alt: has(KeyModifiers::ALT),
                    shift: has(KeyModifiers::SHIFT) && !matches!(code, Code::Char(_)),
                })]
            }
            Ok(_) => Vec::new(),
        };
        if to.blocking_send(Read::Inputs(inputs)).is_err() {
            return;
        }
    }
}

//! What a person sees in each case, at each size, as a model terminal shows it.
//!
//! The pictures are in `tests/pictures`, a file for each case with a section for each size.
//! `UPDATE=1 cargo test -p natter-chat --lib pictures` writes them. A case that has no picture at
//! some size fails, and so does a picture that belongs to nothing.

mod cases;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use super::super::super::painter::Painter;
use super::super::super::size_or_usual;
use super::*;
use cases::CASES;

/// The sizes of windows, columns and rows. The last one is what a window reports that has no
/// size, and is taken for the usual one.
const SIZES: [(u16, u16); 7] = [
    (40, 10),
    (80, 24),
    (120, 40),
    (200, 60),
    (10, 5),
    (1, 1),
    (0, 0),
];

/// Rows that are alike and are shown one by one at most.
const MOST_ALIKE: usize = 3;

/// A person in front of a model terminal.
struct Scene {
    test: Test,
    painter: Painter,
    terminal: vt100::Parser,
    size: (u16, u16),
}

/// A case: its name, and what happens.
struct Case {
    name: &'static str,
    happens: fn(&mut Scene),
}

impl Scene {
    fn new(reported: (u16, u16)) -> Self {
        let size = size_or_usual(Some(reported));
        let (columns, rows) = cells(size);
        Self {
            test: Test::new(size.0, size.1, &["lab", "lunch"]),
            painter: Painter::new(true),
            terminal: vt100::Parser::new(rows, columns, 0),
            size,
        }
    }

    /// Draws, as after every key and every message.
    fn draws(&mut self) {
        let canvas = self.test.ui.draw();
        let update = self.painter.paint(canvas);
        self.terminal.process(update.as_bytes());
    }

    fn types(&mut self, keys: &str) {
        self.test.types(keys);
        self.draws();
    }

    fn happens(&mut self, item: Item) {
        self.test.ui.take_item(item);
        self.draws();
    }

    fn arrives(&mut self, topic: &str, user: &str, text: &str) {
        self.test.arrives(topic, user, text);
        self.draws();
    }

    /// Changes the size of the window.
    fn resizes(&mut self, size: (u16, u16)) {
        let (columns, rows) = cells(size);
        self.terminal.screen_mut().set_size(rows, columns);
        self.size = size;
        self.test.ui.resize(size);
        self.draws();
    }

    /// The rows of the model terminal.
    fn rows(&self) -> Vec<String> {
        let rows = self.terminal.screen().rows(0, self.size.0);
        rows.map(|row| row.trim_end().to_owned()).collect()
    }

    /// The rows, those of a run that are alike counted, and where the cursor is.
    fn picture(&self) -> String {
        let rows = self.rows();
        let mut picture = String::new();
        for run in rows.chunk_by(|row, next| row == next) {
            let shown = if run.len() > MOST_ALIKE { 1 } else { run.len() };
            for row in &run[..shown] {
                let _ = writeln!(picture, "|{row}");
            }
            if let more @ 1.. = run.len() - shown {
                let _ = writeln!(picture, "({more} more like this)");
            }
        }
        let (row, column) = self.terminal.screen().cursor_position();
        picture + &format!("(cursor at column {column} of row {row})\n")
    }

    /// The model terminal shows what was drawn, although only changes were sent to it.
    fn shows_what_was_drawn(&self, name: &str) {
        let canvas = self.test.ui.draw();
        for (number, shown) in (0..).zip(self.rows()) {
            let drawn = canvas.line(number, 0..canvas.area().width);
            // A model terminal has its own idea of characters of several code points.
            if !drawn.contains('\u{200d}') {
                assert_eq!(shown, drawn, "{name} at {:?}", self.size);
            }
        }
    }
}

/// The cells of a model terminal, which has some at least.
fn cells((columns, rows): (u16, u16)) -> (NonZeroU16, NonZeroU16) {
    let some = |count| NonZeroU16::new(count).unwrap_or(NonZeroU16::MIN);
    (some(columns), some(rows))
}

fn file(case: &Case) -> PathBuf {
    let name = case.name.replace([' ', ','], "-");
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/pictures")
        .join(format!("{name}.txt"))
}

/// The heading of a size's section.
fn heading((columns, rows): (u16, u16)) -> String {
    format!("== {columns}×{rows}")
}

/// The sections of a file, by their headings.
fn sections(text: &str) -> BTreeMap<String, String> {
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if line.starts_with("== ") {
            current = line.into();
        }
        let section = sections.entry(current.clone()).or_default();
        if !line.starts_with("== ") {
            section.push_str(line);
            section.push('\n');
        }
    }
    sections
}

#[test]
fn every_case_has_its_picture_at_every_size() {
    let is_update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for case in &CASES {
        let mut drawn = Vec::new();
        for size in SIZES {
            let mut scene = Scene::new(size);
            scene.draws();
            (case.happens)(&mut scene);
            scene.shows_what_was_drawn(case.name);
            drawn.push((heading(size), scene.picture()));
        }
        // A window without a size is like the usual one.
        assert_eq!(drawn[6].1, drawn[1].1, "{}", case.name);
        let path = file(case);
        if is_update {
            let sections = drawn
                .iter()
                .map(|(heading, text)| format!("{heading}\n{text}"));
            std::fs::write(&path, sections.collect::<String>()).expect("a picture is written");
        }
        let kept = sections(&std::fs::read_to_string(&path).unwrap_or_default());
        let drawn: BTreeMap<String, String> = drawn.into_iter().collect();
        for heading in kept.keys().chain(drawn.keys()) {
            let (kept, drawn) = (kept.get(heading), drawn.get(heading));
            if kept != drawn {
                let [kept, drawn] = [kept, drawn].map(|one| one.map_or("nothing", String::as_str));
                wrong.push(format!(
                    "{} {heading}\nis\n{drawn}and should be\n{kept}",
                    case.name
                ));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_picture_belongs_to_a_case() {
    let known: Vec<PathBuf> = CASES.iter().map(file).collect();
    let folder = known[0].parent().expect("a folder");
    for entry in std::fs::read_dir(folder).expect("pictures") {
        let path = entry.expect("a file").path();
        assert!(known.contains(&path), "{} is no case's", path.display());
    }
}

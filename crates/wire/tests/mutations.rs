//! The checks of the fuzz targets for machines without cargo-fuzz: the committed
//! corpus as it is, then damaged in every way for a bounded time.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "this is a test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

#[allow(clippy::expect_used, clippy::panic)]
mod checks;

/// How long each check is tried with damaged input, unless `FUZZ_SECONDS` says
/// something else: enough for some thousand inputs in an unoptimised build.
const SECONDS: u64 = 3;

/// Inputs between two looks at the clock.
const CASES: u32 = 100;

#[test]
fn the_corpus_passes_the_scanners_check() {
    corpus().iter().for_each(|bytes| checks::scanner(bytes));
}

#[test]
fn the_corpus_passes_the_frames_check() {
    corpus().iter().for_each(|bytes| checks::frame(bytes));
}

#[test]
fn damaged_frames_pass_the_scanners_check() {
    try_damaged(checks::scanner);
}

#[test]
fn damaged_frames_pass_the_frames_check() {
    try_damaged(checks::frame);
}

/// Runs a check until the time is up; a failing input is made as small as
/// possible and shown.
fn try_damaged(check: fn(&[u8])) {
    let seconds = std::env::var("FUZZ_SECONDS").map_or(SECONDS, |text| {
        text.parse().expect("FUZZ_SECONDS is a number of seconds")
    });
    let config = ProptestConfig {
        cases: CASES,
        // A finding belongs into the corpus, where everybody has it.
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    let input = damaged(corpus(), words());
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let result = runner.run(&input, |bytes| {
            check(&bytes);
            Ok(())
        });
        if let Err(error) = result {
            panic!("{error}");
        }
    }
}

/// One kind of damage, at places that are chosen when the length is known.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Cut(Index),
    Repeat(Index, usize, usize),
    Append(Vec<u8>),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |place: &Index| place.index(bytes.len() + 1);
        let piece = |start: usize, length: usize| start..(start + length).min(bytes.len());
        match self {
            Self::Set(place, byte) => {
                let at = at(place);
                bytes.splice(piece(at, 1), [*byte]);
            }
            Self::Insert(place, word) => {
                let at = at(place);
                bytes.splice(at..at, word.iter().copied());
            }
            Self::Remove(place, length) => {
                bytes.drain(piece(at(place), *length));
            }
            Self::Cut(place) => bytes.truncate(at(place)),
            Self::Repeat(place, length, times) => {
                let at = at(place);
                let repeated = bytes[piece(at, *length)].repeat(*times);
                bytes.splice(at..at, repeated);
            }
            Self::Append(other) => bytes.extend_from_slice(other),
        }
    }
}

/// A file of the corpus after some damage.
fn damaged(corpus: Vec<Vec<u8>>, words: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let word = proptest::sample::select(words);
    let file = proptest::sample::select(corpus);
    let place = any::<Index>;
    let damage = prop_oneof![
        2 => (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        3 => (place(), word).prop_map(|(at, word)| Damage::Insert(at, word)),
        2 => (place(), 1..9usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        1 => place().prop_map(Damage::Cut),
        1 => (place(), 1..20usize, 1..20usize)
            .prop_map(|(at, length, times)| Damage::Repeat(at, length, times)),
        1 => file.clone().prop_map(Damage::Append),
    ];
    (file, proptest::collection::vec(damage, 0..6)).prop_map(|(mut bytes, damages)| {
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        bytes
    })
}

/// The files of `fuzz/corpus`, of both targets.
fn corpus() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for target in ["scanner", "frame"] {
        let mut paths: Vec<PathBuf> = fs::read_dir(fuzz().join("corpus").join(target))
            .expect("the corpus is there")
            .map(|entry| entry.expect("the corpus can be listed").path())
            .collect();
        paths.sort();
        files.extend(
            paths
                .iter()
                .map(|path| fs::read(path).expect("a file of the corpus")),
        );
    }
    assert!(files.len() > 50, "only {} files", files.len());
    files
}

/// The words of `fuzz/json.dict`, in which `\xff` is a byte. JSON unescapes them
/// once that is written as the character of the same number.
fn words() -> Vec<Vec<u8>> {
    let dictionary = fs::read_to_string(fuzz().join("json.dict")).expect("the dictionary");
    let words: Vec<Vec<u8>> = dictionary
        .lines()
        .filter(|line| line.starts_with('"'))
        .map(|line| {
            let word: String = serde_json::from_str(&line.replace("\\x", "\\u00")).expect("a word");
            word.chars().map(|c| c as u8).collect()
        })
        .collect();
    assert!(words.len() > 30, "only {} words", words.len());
    words
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

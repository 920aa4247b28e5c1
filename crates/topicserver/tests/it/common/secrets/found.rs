//! Finds secrets in what a test sends, receives and writes to files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Kind, numbers};

/// What keys of JSON bring, and nothing else.
const KEYS: [(&str, Kind); 2] = [("auth", Kind::Token), ("client", Kind::ClientKey)];

/// What keys of JSON and fields of forms and queries bring.
const FIELDS: [(&str, Kind); 3] = [
    ("token", Kind::Token),
    ("ticket", Kind::Ticket),
    ("password", Kind::Password),
];

type Found = Vec<(Kind, String)>;

/// The secrets in some bytes: frames, requests, answers, forms, or a file.
pub fn found_in(bytes: &[u8]) -> Vec<(Kind, String)> {
    let text = String::from_utf8_lossy(bytes);
    let mut found = Vec::new();
    tokens(&text, &mut found);
    hashes(&text, &mut found);
    private_keys(&text, &mut found);
    cluster_logins(&text, &mut found);
    headers(&text, &mut found);
    fields(&text, &mut found);
    found
}

/// Takes a value as it is. The id of a token is no secret: what follows it is found by itself.
fn add(found: &mut Found, kind: Kind, value: &str) {
    if !value.is_empty() && !value.contains("ntr_") {
        found.push((kind, value.to_owned()));
    }
}

/// What follows each occurrence of a mark.
fn after<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(mark)
        .map(move |(at, mark)| &text[at + mark.len()..])
}

fn until(text: &str, is_end: impl Fn(char) -> bool) -> &str {
    text.split(is_end).next().unwrap_or_default()
}

/// Whether it is in base64, as addresses have it.
fn is_of_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

fn tokens(text: &str, found: &mut Found) {
    for rest in after(text, "ntr_") {
        let token = until(rest, |character| !is_of_token(character));
        if let Some((_, secret)) = token.split_once('_') {
            add(found, Kind::Token, secret);
        }
    }
    for rest in after(text, "ntk_") {
        let ticket = until(rest, |character| !is_of_token(character));
        add(found, Kind::Ticket, &format!("ntk_{ticket}"));
    }
    // How JSON begins in base64: `{"`.
    for rest in after(text, "eyJ") {
        let is_part = |character| is_of_token(character) || character == '.';
        let rest = until(rest, |character| !is_part(character));
        if let [_, _, signature] = rest.split('.').collect::<Vec<_>>()[..] {
            add(found, Kind::SignedToken, &format!("eyJ{rest}"));
            add(found, Kind::SignedToken, signature);
        }
    }
}

fn hashes(text: &str, found: &mut Found) {
    for rest in after(text, "$argon2") {
        let is_end = |character: char| character == '"' || character.is_whitespace();
        if let [_, _, _, salt, hash] = until(rest, is_end).split('$').collect::<Vec<_>>()[..] {
            add(found, Kind::PasswordHash, salt);
            add(found, Kind::PasswordHash, hash);
        }
    }
    for rest in after(text, "sha256:") {
        let digits = until(rest, |character| !character.is_ascii_hexdigit());
        // The fingerprint of a key, which everybody may see, has another form.
        if digits.len() == 64 {
            add(found, Kind::TokenHash, digits);
            add(found, Kind::TokenHash, &numbers(&bytes_of(digits)));
        }
    }
}

/// What hexadecimal digits say.
fn bytes_of(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let pairs = pairs.filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs
        .filter_map(|pair| u8::from_str_radix(pair, 16).ok())
        .collect()
}

fn private_keys(text: &str, found: &mut Found) {
    for block in after(text, "-----BEGIN ") {
        let (name, body) = block.split_once("-----").unwrap_or_default();
        if name.ends_with("PRIVATE KEY") {
            let lines = until(body, |character| character == '-').lines();
            lines.for_each(|line| add(found, Kind::PrivateKey, line.trim()));
        }
    }
}

fn cluster_logins(text: &str, found: &mut Found) {
    for rest in ["nats://", "tls://"]
        .iter()
        .flat_map(|mark| after(text, mark))
    {
        let is_end =
            |character: char| matches!(character, '/' | ',' | '"') || character.is_whitespace();
        if let Some((login, _)) = until(rest, is_end).rsplit_once('@') {
            let secret = login
                .split_once(':')
                .map_or(login, |(_, password)| password);
            add(found, Kind::ClusterLogin, secret);
        }
    }
    for block in after(text, "-----BEGIN USER NKEY SEED-----") {
        let lines = until(block, |character| character == '-').lines();
        lines.for_each(|line| add(found, Kind::ClusterLogin, line.trim()));
    }
}

fn headers(text: &str, found: &mut Found) {
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap_or_default();
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "authorization" => credentials(value, found),
            "cookie" => value.split(';').for_each(|pair| cookie(pair, found)),
            "set-cookie" => cookie(until(value, |character| character == ';'), found),
            _ => {}
        }
    }
}

fn credentials(value: &str, found: &mut Found) {
    let credentials = value.split_once(' ').map_or(value, |(_, rest)| rest.trim());
    add(found, Kind::Credentials, credentials);
    let decoded = STANDARD.decode(credentials).unwrap_or_default();
    let decoded = String::from_utf8(decoded).unwrap_or_default();
    let (_, password) = decoded.split_once(':').unwrap_or_default();
    tokens(password, found);
    add(found, Kind::Password, password);
}

fn cookie(pair: &str, found: &mut Found) {
    let (_, value) = pair.split_once('=').unwrap_or_default();
    add(found, Kind::Cookie, value);
}

fn fields(text: &str, found: &mut Found) {
    for (key, kind) in KEYS.into_iter().chain(FIELDS) {
        json_strings(text, key, kind, found);
    }
    for (name, kind) in FIELDS {
        for rest in after(text, &format!("{name}=")) {
            let is_end = |character: char| {
                character.is_whitespace() || matches!(character, '&' | '"' | '\'' | '#')
            };
            let raw = until(rest, is_end);
            add(found, kind, raw);
            add(found, kind, &decoded(raw));
        }
    }
}

/// The strings that a key has, in whatever JSON.
fn json_strings(text: &str, key: &str, kind: Kind, found: &mut Found) {
    for rest in after(text, &format!("\"{key}\"")) {
        let value = rest.trim_start().strip_prefix(':').unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(value).into_iter::<String>();
        if let Some(Ok(value)) = values.next() {
            add(found, kind, &value);
        }
    }
}

/// The value of a form's field.
fn decoded(raw: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = raw.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(match (escaped, byte) {
            (Some(escaped), _) => escaped,
            (None, b'+') => b' ',
            (None, byte) => byte,
        });
        rest = &after[if escaped.is_some() { 2 } else { 0 }..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

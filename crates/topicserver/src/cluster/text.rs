//! Texts and people within what servers tell each other.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use wire::Person;

/// Somebody with a name.
pub(crate) type Someone = Person<'static>;

pub(crate) fn put_person(bytes: &mut BytesMut, person: &Person<'_>) {
    for text in [&person.user, &person.ip, &person.port] {
        put_text(bytes, text);
    }
}

pub(crate) fn take_person(bytes: &mut Bytes) -> Option<Someone> {
    let mut texts = [const { String::new() }; 3];
    for text in &mut texts {
        *text = take_text(bytes)?;
    }
    let [user, ip, port] = texts.map(Into::into);
    Some(Person { user, ip, port })
}

/// Names and addresses are shorter than 64 KiB.
pub(crate) fn put_text(bytes: &mut BytesMut, text: &str) {
    bytes.put_u16_le(u16::try_from(text.len()).unwrap_or(u16::MAX));
    bytes.extend_from_slice(text.as_bytes());
}

pub(crate) fn take_text(bytes: &mut Bytes) -> Option<String> {
    let len = usize::from(bytes.try_get_u16_le().ok()?);
    let text = (len <= bytes.len()).then(|| bytes.split_to(len))?;
    String::from_utf8(text.to_vec()).ok()
}

pub(crate) fn put_count(bytes: &mut BytesMut, count: usize) {
    bytes.put_u32_le(u32::try_from(count).unwrap_or(u32::MAX));
}

/// Takes as many as are there, whatever number is said.
pub(crate) fn take_many<T>(
    bytes: &mut Bytes,
    take: impl Fn(&mut Bytes) -> Option<T>,
) -> Option<Vec<T>> {
    let count = bytes.try_get_u32_le().ok()?;
    (0..count).map(|_| take(bytes)).collect()
}

/// The same person, kept for longer.
pub(crate) fn owned(person: &Person<'_>) -> Someone {
    Person {
        user: person.user.clone().into_owned().into(),
        ip: person.ip.clone().into_owned().into(),
        port: person.port.clone().into_owned().into(),
    }
}

//! Reads what the server needs from a certificate: its validity, and whether it is self-signed.
//! Everything else in it is for clients.

/// A certificate's dates, in seconds since 1970, and its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) not_before: u64,
    pub(super) not_after: u64,
    /// Its issuer is its subject.
    pub(super) is_self_issued: bool,
}

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The tag of a certificate's version.
const VERSION: u8 = 0xa0;

/// One value in DER.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

/// Reads a certificate in DER; `None` if it isn't one.
pub(super) fn read(der: &[u8]) -> Option<Facts> {
    let mut certificate = sequence(&mut &*der)?;
    let mut fields = sequence(&mut certificate)?;
    if fields.first() == Some(&VERSION) {
        element(&mut fields)?;
    }
    let _serial = element(&mut fields)?;
    let _algorithm = element(&mut fields)?;
    let issuer = sequence(&mut fields)?;
    let mut validity = sequence(&mut fields)?;
    let subject = sequence(&mut fields)?;
    Some(Facts {
        not_before: time(&element(&mut validity)?)?,
        not_after: time(&element(&mut validity)?)?,
        is_self_issued: issuer == subject,
    })
}

fn sequence<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let element = element(bytes)?;
    (element.tag == SEQUENCE).then_some(element.content)
}

/// Takes the next value off the front.
fn element<'a>(bytes: &mut &'a [u8]) -> Option<Element<'a>> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        // That many bytes of length follow; no certificate has four gigabytes.
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return None;
        }
        let (digits, after) = rest.split_at_checked(count)?;
        length = digits.iter().try_fold(0_usize, |sum, &digit| {
            Some(sum.checked_mul(256)? + usize::from(digit))
        })?;
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    *bytes = after;
    Some(Element { tag, content })
}

/// `YYMMDDhhmmssZ`, or with four digits of the year.
fn time(element: &Element<'_>) -> Option<u64> {
    let text = std::str::from_utf8(element.content).ok()?;
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_date || year < 1970 {
        return None;
    }
    let seconds = part(4)? * 3600 + part(6)? * 60 + part(8)?;
    Some(days(year, month, day) * 86_400 + seconds)
}

/// Days from 1970 to a date of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // The year begins in March here, so that the leap day is its last.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let before_month = (153 * month + 2) / 5;
    // From the first of March of the year 0 to 1970 there were 719,468 days.
    year * 365 + leap_days + before_month + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted() {
        for ((year, month, day), expected) in [
            ((1970, 1, 1), 0),
            ((1970, 3, 1), 59),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2026, 11, 26), 20_783),
            ((2100, 3, 1), 47_541),
        ] {
            assert_eq!(days(year, month, day), expected, "{year}-{month}-{day}");
        }
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let read = |tag, text: &str| {
            time(&Element {
                tag,
                content: text.as_bytes(),
            })
        };
        assert_eq!(read(UTC_TIME, "700101000001Z"), Some(1));
        assert_eq!(
            read(UTC_TIME, "261126120000Z"),
            Some(20_783 * 86_400 + 43_200)
        );
        assert_eq!(
            read(GENERALIZED_TIME, "20261126120000Z"),
            Some(20_783 * 86_400 + 43_200)
        );
        assert!(read(GENERALIZED_TIME, "99991231235959Z").is_some());
        for text in [
            "",
            "26",
            "2613",
            "261126",
            "269926120000Z",
            "26112612000\u{e9}",
        ] {
            assert_eq!(read(UTC_TIME, text), None, "{text}");
        }
        assert_eq!(read(0x04, "261126120000Z"), None);
    }

    #[test]
    fn a_certificate_cut_anywhere_is_no_certificate_and_no_panic() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["lab".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2026, 11, 26);
        parameters.not_after = rcgen::date_time_ymd(2060, 1, 1);
        let certificate = parameters.self_signed(&key).unwrap();
        let der = certificate.der();
        let facts = Facts {
            not_before: 20_783 * 86_400,
            not_after: days(2060, 1, 1) * 86_400,
            is_self_issued: true,
        };
        assert_eq!(read(der), Some(facts));
        for end in 0..der.len() {
            assert_eq!(read(&der[..end]), None, "{end}");
        }
        for at in 0..der.len() {
            let mut changed = der.to_vec();
            changed[at] ^= 0xff;
            let _ = read(&changed);
        }
    }
}

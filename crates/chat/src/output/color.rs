//! Colours as escape sequences in text, or none. Makes no terminal call.

/// Colours of the usual 256 that can be read on black and on white: each has at
/// least three times the contrast with both that makes text visible.
const PALETTE: [u8; 16] = [
    28, 30, 31, 32, 64, 66, 67, 97, 98, 100, 130, 131, 132, 133, 161, 166,
];

/// How something is set off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shade {
    /// What is of less weight: times, rules, notices.
    Dim,
    /// What is of more weight.
    Bold,
    /// What is wrong.
    Warning,
    /// Somebody's name.
    Name(u8),
}

/// Puts colours around text, if there are to be any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    /// With colours, or without.
    pub(crate) fn new(is_on: bool) -> Self {
        Self { is_on }
    }

    /// Appends what `write` writes, set off.
    pub(super) fn push(self, out: &mut String, shade: Shade, write: impl FnOnce(&mut String)) {
        if !self.is_on {
            return write(out);
        }
        match shade {
            Shade::Dim => out.push_str("\x1b[2m"),
            Shade::Bold => out.push_str("\x1b[1m"),
            Shade::Warning => out.push_str("\x1b[33m"),
            Shade::Name(color) => out.push_str(&format!("\x1b[38;5;{color}m")),
        }
        write(out);
        out.push_str("\x1b[0m");
    }
}

/// The colour of a name: the same wherever and whenever it is shown.
pub(super) fn of_name(name: &str) -> Shade {
    // FNV-1a: small, and the same in every version of this program.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let at = (hash ^ (hash >> 32)) as usize % PALETTE.len();
    Shade::Name(PALETTE[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How bright a colour of the 256 is, as WCAG counts it: 0 to 1.
    fn luminance(color: u8) -> f64 {
        const STEPS: [f64; 6] = [0.0, 95.0, 135.0, 175.0, 215.0, 255.0];
        let cube = usize::from(color) - 16;
        let linear = |step: usize| {
            let value = STEPS[step] / 255.0;
            ((value + 0.055) / 1.055).powf(2.4)
        };
        let (red, green, blue) = (linear(cube / 36), linear(cube / 6 % 6), linear(cube % 6));
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn every_color_can_be_read_on_black_and_on_white() {
        for color in PALETTE {
            let luminance = luminance(color);
            let (on_black, on_white) = ((luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05));
            assert!(
                on_black >= 3.0 && on_white >= 3.0,
                "{color}: {on_black:.1} {on_white:.1}"
            );
        }
    }

    #[test]
    fn a_name_keeps_its_color_and_names_differ() {
        assert_eq!(of_name("alice"), of_name("alice"));
        let colors: std::collections::HashSet<String> = (0..200)
            .map(|number| format!("{:?}", of_name(&format!("user{number}"))))
            .collect();
        assert_eq!(colors.len(), PALETTE.len());
    }

    #[test]
    fn without_colors_text_is_all_there_is() {
        let mut out = String::new();
        Paint::new(false).push(&mut out, Shade::Dim, |out| out.push('x'));
        assert_eq!(out, "x");
    }
}

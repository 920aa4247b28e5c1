//! The colours of names: stable, and different for the people of one conversation.

use std::collections::HashMap;

use ratatui_core::style::{Color, Modifier, Style};

/// Colours of the usual 256 that can be read on black and on white, each of which is easily
/// told from all others.
const PALETTE: [u8; 8] = [28, 31, 66, 98, 100, 131, 161, 166];
/// Further people have the same colours with these.
const VARIANTS: [Modifier; 4] = [
    Modifier::empty(),
    Modifier::UNDERLINED,
    Modifier::ITALIC,
    Modifier::BOLD,
];

/// Names that are remembered; further ones share looks.
const MOST: usize = 5_000;

/// The looks of the names of one conversation.
#[derive(Debug, Default)]
pub(super) struct NameColors {
    given: HashMap<String, usize>,
    /// How many have each look.
    used: Vec<u32>,
}

impl NameColors {
    /// The look of a name: always the same, and different from all others while there are enough.
    pub(super) fn of(&mut self, name: &str) -> Style {
        let look = match self.given.get(name) {
            Some(look) => *look,
            None if self.given.len() >= MOST => return self.known(name),
            None => self.give(name),
        };
        style(look)
    }

    /// The look of a name that has one.
    pub(super) fn known(&self, name: &str) -> Style {
        let wish = || hash(name) as usize % PALETTE.len();
        style(self.given.get(name).copied().unwrap_or_else(wish))
    }

    fn give(&mut self, name: &str) -> usize {
        let looks = PALETTE.len() * VARIANTS.len();
        self.used.resize(looks, 0);
        let wish = hash(name) as usize % PALETTE.len();
        // In the order of preference: the wish, other colours, then other variants.
        let order = (0..looks).map(|step| {
            let (variant, color) = (step / PALETTE.len(), (wish + step) % PALETTE.len());
            variant * PALETTE.len() + color
        });
        let least = self.used.iter().min().copied().unwrap_or(0);
        let look = order
            .into_iter()
            .find(|look| self.used[*look] == least)
            .unwrap_or(wish);
        self.used[look] += 1;
        self.given.insert(name.into(), look);
        look
    }
}

fn style(look: usize) -> Style {
    let modifier = VARIANTS[look / PALETTE.len()];
    let color = Color::Indexed(PALETTE[look % PALETTE.len()]);
    Style::default().fg(color).add_modifier(modifier)
}

/// FNV-1a: small, and the same in every version of this program.
fn hash(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red, green and blue of a colour of the 256.
    fn rgb(color: u8) -> [f64; 3] {
        const STEPS: [f64; 6] = [0.0, 95.0, 135.0, 175.0, 215.0, 255.0];
        let cube = usize::from(color) - 16;
        [STEPS[cube / 36], STEPS[cube / 6 % 6], STEPS[cube % 6]]
    }

    /// How bright it is, as WCAG counts it: 0 to 1.
    fn luminance(color: u8) -> f64 {
        let linear = |value: f64| ((value / 255.0 + 0.055) / 1.055).powf(2.4);
        let [red, green, blue] = rgb(color).map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn every_color_can_be_read_on_black_and_on_white() {
        for color in PALETTE {
            let luminance = luminance(color);
            let (on_black, on_white) = ((luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05));
            assert!(on_black >= 3.0 && on_white >= 3.0, "{color}");
        }
    }

    #[test]
    fn no_two_colors_look_alike() {
        for (at, one) in PALETTE.into_iter().enumerate() {
            for other in &PALETTE[at + 1..] {
                // The "redmean" distance: near to what eyes see, 0 to 765.
                let ([r1, g1, b1], [r2, g2, b2]) = (rgb(one), rgb(*other));
                let mean = f64::midpoint(r1, r2);
                let red = (2.0 + mean / 256.0) * (r1 - r2).powi(2);
                let blue = (2.0 + (255.0 - mean) / 256.0) * (b1 - b2).powi(2);
                let distance = (red + 4.0 * (g1 - g2).powi(2) + blue).sqrt();
                assert!(distance > 150.0, "{one} and {other}: {distance:.0}");
            }
        }
    }

    #[test]
    fn nobody_of_a_conversation_looks_like_somebody_else() {
        let mut colors = NameColors::default();
        let names: Vec<String> = (0..32).map(|number| format!("user{number}")).collect();
        let looks: Vec<Style> = names.iter().map(|name| colors.of(name)).collect();
        for (at, look) in looks.iter().enumerate() {
            assert!(!looks[at + 1..].contains(look), "{at}");
            assert_eq!(colors.of(&names[at]), *look);
        }
        // Somebody who is alone has the colour that they have everywhere.
        assert_eq!(NameColors::default().of("user0"), looks[0]);
    }
}

//! Where on the screen everything stands, whatever its size.

use ratatui_core::layout::Rect;

use super::editor::Editor;
use super::ui::Ui;

/// From this width on, members stand at the side.
const MEMBERS_FROM: u16 = 100;
/// From this width on, topics do too.
const TOPICS_FROM: u16 = 120;
/// Columns of each side.
const SIDE: u16 = 20;
/// Rows of the text that is typed, at most.
const MOST_ROWS: u16 = 8;
/// What stands before the text that is typed takes so many columns.
const PROMPT: u16 = 2;
/// Narrower windows have no room for that.
const PROMPT_FROM: u16 = 10;

/// See the module. What has no room is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Areas {
    pub(super) header: Rect,
    pub(super) topics: Rect,
    pub(super) messages: Rect,
    pub(super) members: Rect,
    pub(super) status: Rect,
    /// Where text is typed, behind the prompt.
    pub(super) input: Rect,
}

impl Ui {
    /// Where everything stands now.
    pub(super) fn areas(&self) -> Areas {
        let has_sides = self.taste.has_sides;
        let mut areas = areas(self.size, has_sides, &self.editor);
        if self.view().is_none_or(|view| view.members.is_empty()) {
            areas.messages.width += areas.members.width;
            areas.members = Rect::ZERO;
        }
        areas
    }

    /// Columns for the text that is typed.
    pub(super) fn box_width(&self) -> usize {
        usize::from(self.areas().input.width)
    }
}

fn areas((width, height): (u16, u16), has_sides: bool, editor: &Editor) -> Areas {
    let prompt = if width >= PROMPT_FROM { PROMPT } else { 0 };
    let room = width - prompt;
    let most = match height {
        0..=5 => 1,
        _ => (height / 3).clamp(1, MOST_ROWS),
    };
    let rows = editor.rows(usize::from(room)).len();
    let rows = u16::try_from(rows)
        .unwrap_or(u16::MAX)
        .clamp(1, most)
        .min(height);
    let status = u16::from(height >= 3);
    let header = u16::from(height >= 5);
    let middle = height - rows - status - header;
    let side = |from| if has_sides && width >= from { SIDE } else { 0 };
    let (left, right) = (side(TOPICS_FROM), side(MEMBERS_FROM));
    Areas {
        header: Rect::new(0, 0, width, header),
        topics: Rect::new(0, header, left, middle),
        messages: Rect::new(left, header, width - left - right, middle),
        members: Rect::new(width - right, header, right, middle),
        status: Rect::new(0, header + middle, width, status),
        input: Rect::new(prompt, height - rows, room, rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_place_whatever_the_size() {
        let mut editor = Editor::default();
        editor.insert(&"words ".repeat(100));
        for width in 0..130 {
            for height in 0..50 {
                let areas = areas((width, height), true, &editor);
                let sum = areas.header.height
                    + areas.messages.height
                    + areas.status.height
                    + areas.input.height;
                assert_eq!(sum, height, "{width}×{height}");
                let across = areas.topics.width + areas.messages.width + areas.members.width;
                assert_eq!(across, width, "{width}×{height}");
                assert!(areas.input.height <= 8);
            }
        }
    }

    #[test]
    fn sides_come_with_the_room_for_them_and_can_be_switched_off() {
        let editor = Editor::default();
        let sides = |width, has_sides| {
            let areas = areas((width, 24), has_sides, &editor);
            (areas.topics.width > 0, areas.members.width > 0)
        };
        assert_eq!(sides(99, true), (false, false));
        assert_eq!(sides(100, true), (false, true));
        assert_eq!(sides(120, true), (true, true));
        assert_eq!(sides(200, false), (false, false));
    }
}

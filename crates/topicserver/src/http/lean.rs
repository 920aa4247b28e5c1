//! Scripts and styles as they are served: without what only those need who read them. Of the
//! page that is a fifth.

/// What a file is written in: where a space means nothing.
#[derive(Clone, Copy)]
pub(crate) struct Language {
    /// Before and behind a space that can go.
    before: &'static str,
    behind: &'static str,
    /// A line with one of these is left as it is: it may hold a regular expression or a
    /// template, in which a space is a space.
    unclear: &'static [char],
}

pub(crate) const SCRIPT: Language = Language {
    before: "{}(),;:=>&|?",
    behind: "{}(),;:=>&|?",
    unclear: &['`', '/'],
};

/// A colon may begin a part of a selector, which a space before it sets apart.
pub(crate) const STYLE: Language = Language {
    before: "{},;>:",
    behind: "{},;>",
    unclear: &[],
};

/// Leaves out lines that only hold a comment, what is before and after the others, and spaces
/// that mean nothing. No file has a text that goes over several lines.
pub(crate) fn lean(text: &str, language: Language) -> String {
    let is_comment = |line: &&str| line.starts_with("//") || line.starts_with("/*");
    let lines = text.lines().map(str::trim);
    let mut lean = String::with_capacity(text.len());
    for line in lines.filter(|line| !line.is_empty() && !is_comment(line)) {
        if line.contains(language.unclear) {
            lean.push_str(line);
        } else {
            squeeze(line, language, &mut lean);
        }
        lean.push('\n');
    }
    lean
}

/// Adds a line without the spaces that mean nothing. Those in quotes stay.
fn squeeze(line: &str, language: Language, lean: &mut String) {
    let mut quote = None;
    let mut is_escaped = false;
    let mut last = '\n';
    let mut rest = line.chars().peekable();
    while let Some(character) = rest.next() {
        match quote {
            Some(end) => {
                if character == end && !is_escaped {
                    quote = None;
                }
                is_escaped = character == '\\' && !is_escaped;
            }
            None if character == ' ' => {
                let next = rest.peek().copied().unwrap_or('\n');
                if language.before.contains(last) || language.behind.contains(next) {
                    continue;
                }
            }
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None => {}
        }
        last = character;
        lean.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_loses_only_what_means_nothing() {
        for (written, served) in [
            (
                "  const a = { b: [1, 2] }; // x",
                "const a = { b: [1, 2] }; // x",
            ),
            ("const a = { b: [1, 2] };", "const a={b:[1,2]};"),
            ("  // nothing else\n\n  a += 1;", "a +=1;"),
            ("if (a && !b) return c ? d : e;", "if(a&&!b)return c?d:e;"),
            ("a = b + +c - -d;", "a=b + +c - -d;"),
            (
                "say(\"a , b\", 'it\\'s ( so )' );",
                "say(\"a , b\",'it\\'s ( so )');",
            ),
            ("a = /( , )/ ;", "a = /( , )/ ;"),
            ("a = `( ${b} )` ;", "a = `( ${b} )` ;"),
            ("return a instanceof B;", "return a instanceof B;"),
        ] {
            assert_eq!(lean(written, SCRIPT), format!("{served}\n"));
        }
    }

    #[test]
    fn a_style_loses_only_what_means_nothing() {
        for (written, served) in [
            (
                "/* The lists. */\na b :focus, c > d { e: f g; }",
                "a b :focus,c>d{e:f g;}",
            ),
            (
                "a { b: calc(100vw - 1.5rem); content: \", ; \"; }",
                "a{b:calc(100vw - 1.5rem);content:\", ; \";}",
            ),
            ("@media (max-width: 44rem) {", "@media (max-width:44rem){"),
        ] {
            assert_eq!(lean(written, STYLE), format!("{served}\n"));
        }
    }
}

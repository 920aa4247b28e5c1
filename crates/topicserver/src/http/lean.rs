//! Scripts and styles as they are served: without what only those need who read them. Of the
//! page that is a fifth.

/// What a file is written in: where a space means nothing.
#[derive(Clone, Copy)]
pub(crate) struct Language {
    /// Before and behind a space that can go.
    before: &'static str,
    behind: &'static str,
    /// Behind which a line need not end.
    joined: &'static str,
    /// What begins and ends a text.
    quotes: &'static str,
    /// A line with this outside of a text is left as it is: it may hold a regular expression
    /// or a comment, in which a space is a space.
    unclear: Option<char>,
    /// Before which a line need not end, and a statement neither if it is a brace.
    continues: &'static str,
}

pub(crate) const SCRIPT: Language = Language {
    before: "{}()[],;:=<>&|?",
    behind: "{}()[],;:=<>&|?",
    joined: "{([,;",
    quotes: "\"'`",
    unclear: Some('/'),
    continues: ")]}.?:&|",
};

/// A colon may begin a part of a selector, which a space before it sets apart.
pub(crate) const STYLE: Language = Language {
    before: "{},;>:",
    behind: "{},;>",
    joined: "{},;",
    quotes: "\"'",
    unclear: None,
    continues: "}",
};

/// Only indentation means nothing.
pub(crate) const PAGE: Language = Language {
    before: "",
    behind: "",
    joined: "",
    quotes: "",
    unclear: None,
    continues: "",
};

/// Leaves out lines that only hold a comment, what is before and after the others, and spaces
/// that mean nothing. No file has a text that goes over several lines.
pub(crate) fn lean(text: &str, language: Language) -> String {
    let is_comment = |line: &&str| line.starts_with("//") || line.starts_with("/*");
    let lines = text.lines().map(str::trim);
    let mut lean = String::with_capacity(text.len());
    let mut is_squeezed = false;
    for line in lines.filter(|line| !line.is_empty() && !is_comment(line)) {
        if is_squeezed && line.starts_with(|first| language.continues.contains(first)) {
            if lean.ends_with('\n') {
                lean.pop();
            }
            if line.starts_with('}') && lean.ends_with(';') {
                lean.pop();
            }
        }
        match squeezed(line, language) {
            Some(squeezed) => {
                is_squeezed = true;
                lean.push_str(&squeezed);
                if !squeezed.ends_with(|last| language.joined.contains(last)) {
                    lean.push('\n');
                }
            }
            // It may end with a comment.
            None => {
                is_squeezed = false;
                lean.extend([line, "\n"]);
            }
        }
    }
    lean
}

/// A line without the spaces that mean nothing. Those in quotes stay. `None`: it isn't clear
/// which ones do. Only a line with one template surely has none within it.
fn squeezed(line: &str, language: Language) -> Option<String> {
    if line.matches('`').count() > 2 {
        return None;
    }
    let mut lean = String::with_capacity(line.len());
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
            None if language.unclear == Some(character) => return None,
            None if language.quotes.contains(character) => quote = Some(character),
            None => {}
        }
        last = character;
        lean.push(character);
    }
    Some(lean)
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
            (
                "import { a, b } from \"./c.js\";",
                "import{a,b}from \"./c.js\";",
            ),
            ("f(\n  a,\n);\ng = {\n}\nh", "f(a,);g={}\nh"),
            ("a; // b;\nc", "a; // b;\nc"),
            ("  // nothing else\n\n  a += 1;", "a +=1;"),
            ("if (a && !b) return c ? d : e;", "if(a&&!b)return c?d:e;"),
            ("a = b + +c - -d;", "a=b + +c - -d;"),
            (
                "say(\"a , b\", 'it\\'s ( so )' );",
                "say(\"a , b\",'it\\'s ( so )');",
            ),
            ("a = /( , )/ ;", "a = /( , )/ ;"),
            ("a = `( ${b} )` ;", "a=`( ${b} )`;"),
            ("if (a) {\n  b();\n}\n}\nc", "if(a){b()}}\nc"),
            ("a = b\n  .c()\n  && d;", "a=b.c()&&d;"),
            ("a = b; // c\n}", "a = b; // c\n}"),
            ("a = `( ${b(`, `)} )` ;", "a = `( ${b(`, `)} )` ;"),
            ("return a instanceof B;", "return a instanceof B;"),
        ] {
            assert_eq!(lean(written, SCRIPT).trim_end(), served);
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
            assert_eq!(lean(written, STYLE).trim_end(), served);
        }
    }
}

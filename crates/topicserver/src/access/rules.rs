//! Rules: `VERBS PATTERN`, allowed or denied. Denying beats allowing, the order has no meaning,
//! and anything that no rule allows is forbidden.

use super::pattern::Pattern;
use super::verbs::Verbs;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) verbs: Verbs,
    pub(super) pattern: Pattern,
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// There is no such verb.
    #[error(
        "{0:?} is no verb; a rule has verbs (read, live, write, who, list, admin, metrics) and then \
         the topic, as in \"read write lab-*\""
    )]
    UnknownVerb(String),
    /// The verbs or the pattern are missing.
    #[error("a rule has verbs and then the topic, as in \"read write lab-*\"")]
    Incomplete,
}

impl Rule {
    pub(super) fn new(verbs: Verbs, pattern: &str) -> Self {
        Self {
            verbs,
            pattern: Pattern::new(pattern),
        }
    }
}

impl std::fmt::Display for Rule {
    /// So that it can be read again.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (verbs, pattern) = (self.verbs, self.pattern.as_str());
        match pattern.contains(char::is_whitespace) || pattern.ends_with('\'') {
            true => write!(f, "{verbs} '{pattern}'"),
            false => write!(f, "{verbs} {pattern}"),
        }
    }
}

impl std::str::FromStr for Rule {
    type Err = RuleError;

    /// The topic is the last word. A name with a space is put in quotation marks: `read 'my
    /// topic'`.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let text = text.trim();
        let (words, pattern) = match text.strip_suffix('\'') {
            Some(quoted) => quoted.split_once('\'').ok_or(RuleError::Incomplete)?,
            None => text
                .rsplit_once(char::is_whitespace)
                .ok_or(RuleError::Incomplete)?,
        };
        let mut verbs = Verbs::NONE;
        for word in words.split_whitespace() {
            let known = Verbs::named(word);
            verbs = verbs.or(known.ok_or_else(|| RuleError::UnknownVerb(word.into()))?);
        }
        if verbs == Verbs::NONE || pattern.is_empty() {
            return Err(RuleError::Incomplete);
        }
        Ok(Self::new(verbs, pattern))
    }
}

/// A set of rules that allow and deny.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RuleSet {
    pub(super) allow: Vec<Rule>,
    pub(super) deny: Vec<Rule>,
}

impl RuleSet {
    /// The verbs that are allowed, without regard to denials.
    pub(super) fn allowed(&self, topic: &str, user: Option<&str>) -> Verbs {
        verbs(&self.allow, topic, user)
    }

    /// The verbs that are denied.
    pub(super) fn denied(&self, topic: &str, user: Option<&str>) -> Verbs {
        verbs(&self.deny, topic, user)
    }

    /// The verbs that are allowed in every topic, whatever its name.
    pub(super) fn allowed_anywhere(&self) -> Verbs {
        let general = self.allow.iter().filter(|rule| rule.pattern.is_any());
        general.fold(Verbs::NONE, |all, rule| all.or(rule.verbs))
    }

    /// The verbs that are denied in at least one topic.
    pub(super) fn denied_somewhere(&self) -> Verbs {
        let rules = self.deny.iter();
        rules.fold(Verbs::NONE, |all, rule| all.or(rule.verbs))
    }
}

fn verbs(rules: &[Rule], topic: &str, user: Option<&str>) -> Verbs {
    let fitting = rules
        .iter()
        .filter(|rule| rule.pattern.matches(topic, user));
    fitting.fold(Verbs::NONE, |all, rule| all.or(rule.verbs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_verbs_and_a_topic() {
        let rule = |text: &str| text.parse::<Rule>();
        let expected = Rule::new(Verbs::READ.or(Verbs::WHO), "lab-*");
        assert_eq!(rule(" read  who lab-*"), Ok(expected));
        assert_eq!(rule("write 'a b'"), Ok(Rule::new(Verbs::WRITE, "a b")));
        assert_eq!(rule("live read"), Ok(Rule::new(Verbs::LIVE, "read")));
        for text in ["", "read", "'lab'", "read ''", "read '", "lab"] {
            assert_eq!(rule(text), Err(RuleError::Incomplete), "{text}");
        }
        let unknown = RuleError::UnknownVerb("wirte".into());
        assert_eq!(rule("read wirte lab"), Err(unknown));
    }
}

//! A request for one page of a list.

use std::num::NonZeroU32;

/// A page of a list that is sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Page {
    /// The page begins after this name, which needn't be in the list; `None` for the first page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
    /// The largest number of entries; `None`: as many as the server sends at once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<NonZeroU32>,
}

impl Page {
    /// The page that follows this one, whose last entry had that name.
    pub fn following(&self, last: &str) -> Self {
        Self {
            after: Some(last.to_owned()),
            limit: self.limit,
        }
    }
}

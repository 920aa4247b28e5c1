//! Who may come in, as whom, and how much of everything.

pub(crate) mod proxy;

//! What a server is to the others.

/// A server in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) u64);

/// What a server says of itself.
#[derive(Clone, Debug)]
pub(crate) struct OwnNode {
    /// Its number in this run, which no other has.
    pub(crate) id: NodeId,
    /// Its name, which it has in all its runs, and no other server has.
    pub(crate) name: String,
    /// When it was started, in milliseconds since the Unix epoch: a later run replaces an earlier
    /// one.
    pub(crate) started: u64,
    /// Where clients reach it, if they do.
    pub(crate) advertise: Option<String>,
}

//! The limits of a frame.

use clap::Args;
use wire::Limits;

use super::Config;
use super::parse::{Bytes, size_up_to, up_to};

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct FrameOptions {
    /// Maximum bytes of a frame
    #[arg(long, value_name = "SIZE", default_value_t = Bytes::of(Limits::DEFAULT_MAX_FRAME),
          value_parser = size_up_to(64, Limits::LARGEST_FRAME as u64))]
    max_frame: Bytes,

    /// Maximum nesting of objects and arrays in a frame
    #[arg(long, value_name = "LEVELS", default_value_t = Limits::DEFAULT_MAX_DEPTH,
          value_parser = up_to(2, Limits::DEEPEST as u64))]
    max_depth: usize,
}

impl FrameOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.frame_limits.max_frame = self.max_frame.in_memory();
        config.frame_limits.max_depth = self.max_depth;
    }
}

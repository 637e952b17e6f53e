//! Who may come in, and who may publish and subscribe to what: a users file as mosca has it.
mod glob;
pub use glob::{GLOB_BYTES_MAX, GLOB_LEVELS_MAX, Glob, GlobError};

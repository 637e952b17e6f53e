//! The broker as a module.

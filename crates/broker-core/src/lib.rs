//! The broker without IO.

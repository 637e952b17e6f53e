//! The broker as a part of somebody's program, which has a word in it.

mod clients;
mod examples;
mod ids;
mod messages;
mod runtimes;

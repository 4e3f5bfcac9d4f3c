//! What a user sees of the config: exact texts of mistakes, what overrides what, and the data that comes out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so by a panic")]

mod catalog;
mod collector;
mod files;
mod layers;
mod loading;
mod mistakes;

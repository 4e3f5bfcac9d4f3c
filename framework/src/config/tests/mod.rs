//! What a user sees of the config: exact texts of mistakes, what overrides what, and the data that comes out.

mod catalog;
mod loading;
mod mistakes;

//! End-to-end tests: the program as its users have it, between real sockets and real files. One binary, so that the C server is
//! compiled once and the tests share two cores.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod acknowledge;
mod away;
mod bounds;
mod clients;
mod clocks;
mod commands;
mod counts;
mod crash;
mod dead_letters;
mod demo;
mod destinations;
mod edges;
mod ends;
mod explain;
mod flows;
mod frames;
mod full_disk;
mod harness;
mod legacy_server;
mod link;
mod log;
mod mistakes;
mod named_cursors;
mod new;
mod odd_places;
mod open_files;
mod other_users;
mod plugins;
mod read_only;
mod replies;
mod retention;
mod settled;
mod shutdown;
mod spill_command;
mod telemetry;
mod terminal;
mod trace;

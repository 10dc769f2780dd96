//! The repository: its pages, its tables, its fuzz seeds, and what the compiler prints.

mod fuzz_seeds;
mod map;
mod modules;
mod rfc_table;
mod ui;

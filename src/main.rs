//! The `circus` program: everything is in the library, so that tests and fuzzers reach it too.
#![no_main]

circus::entry!(circus::cli::main);

//! The `circus` program: everything is in the library, so that tests and fuzzers reach it too.

fn main() -> std::process::ExitCode {
    circus::cli::main()
}

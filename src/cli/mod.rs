//! (skeleton)

pub mod check;

/// Runs the program that argv names.
pub fn main() -> std::process::ExitCode {
    let mut args =
        std::env::args_os().skip(1).map(|arg| crate::config::text::from_bytes(arg.as_encoded_bytes()));
    match args.next().as_deref() {
        Some("check") => check::main(args.collect()),
        _ => std::process::ExitCode::SUCCESS,
    }
}

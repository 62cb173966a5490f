//! (skeleton)
/// Runs the program that argv names.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}

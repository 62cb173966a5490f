//! The arbiter alone: compiled by rustc itself, with the part of the configuration that it needs and no crate at hand.

use std::path::Path;
use std::process::{Command, Output};
use std::{fs, io};

/// The features that the arbiter asks for.
pub const FEATURES: &[&str] =
    &["dependencies", "deploy", "edit", "health", "history", "hooks", "on_demand", "reloadconfig", "tree"];

/// The modules of the configuration that it needs.
const CONFIG: &str = "changes expand families features grants hooks model number options probe respawn_rule restrict row \
                      sockets stream url value words";

/// What every module may import: tools that know of nothing.
pub const SHARED: &[&str] = &["seldom", "signals", "sorted"];

/// Compiles the arbiter at `arbiter` with the rest of `src`. `file` gets the source of the crate, and what comes of it
/// stands beside it, without an extension.
pub fn compile(
    src: &Path,
    arbiter: &Path,
    file: &Path,
    features: &[&str],
    options: &[&str],
) -> io::Result<Output> {
    let mut source = String::from("#![allow(dead_code)]\npub mod config {\n");
    let module =
        |path: &Path, name: &str| format!("#[path = {:?}]\npub mod {name};\n", path.with_extension("rs"));
    source.extend(CONFIG.split(' ').map(|name| module(&src.join("config").join(name), name)));
    source += "pub use model::*;\npub use stream::*;\npub use value::*;\n}\n";
    source.extend(SHARED.iter().map(|name| module(&src.join(name), name)));
    source += &module(arbiter, "arbiter");
    fs::write(file, source)?;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let features = features.iter().flat_map(|name| ["--cfg".to_string(), format!("feature={name:?}")]);
    Command::new(rustc)
        .args(["--edition", "2024", "--cap-lints", "allow"])
        .args(options)
        .args(features)
        .arg("-o")
        .arg(file.with_extension(""))
        .arg(file)
        .output()
}

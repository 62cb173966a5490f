//! Whether the simulator finds faults: each deliberate fault of tests/mutants/list.rs is put into a copy of the arbiter,
//! which is compiled alone, and its random lives are played until one breaks a rule. `make mutants` runs this; it takes
//! some minutes. `ONLY=WORD` tries those alone in whose description the word stands.

#[allow(dead_code, reason = "the tests of the architecture use the rest")]
#[path = "architecture/alone.rs"]
mod alone;
#[path = "mutants/list.rs"]
mod list;

use list::{MUTANTS, Mutant};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// How many steps a fault may stay unnoticed.
const STEPS: u64 = 1_000_000;

/// The lives that look for it, those of the rules first; each kind until it has had its steps.
const LIVES: &[&str] = &["lives_with_any_options_keep_the_rules", "the_model_wants"];

/// A copy of what the arbiter is compiled with, in which the tests of the other modules are left out.
fn copy(from: &Path, to: &Path, tests: bool) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name), tests)?;
        }
        return Ok(());
    }
    let source = fs::read_to_string(from)?;
    fs::write(to, if tests { source } else { source.replace("#[cfg(test)]", "#[cfg(any())]") })
}

/// Compiles the simulator beside the copy.
fn compile(src: &Path) -> PathBuf {
    let (file, incremental) = (src.with_file_name("mutant.rs"), src.with_file_name("incremental"));
    let incremental = format!("incremental={}", incremental.display());
    let codegen = ["opt-level=1", "debug-assertions=on", &incremental].map(|option| ["-C", option]);
    let options = [&["--test"], codegen.as_flattened()].concat();
    let output = alone::compile(src, &src.join("arbiter/mod"), &file, alone::FEATURES, &options).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file.with_extension("")
}

/// What the simulator says, if a life breaks a rule.
fn play(program: &Path, lives: &str) -> Option<String> {
    let mut command = Command::new(program);
    command
        .args([lives, "--nocapture"])
        .env("CIRCUS_SIM_STEPS", STEPS.to_string())
        .env("CIRCUS_SIM_TOLD", "1")
        .env("CIRCUS_SIM_ATTEMPTS", "0")
        .env("RUST_BACKTRACE", "0");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("running 1 test"), "{lives}: {text}");
    (!output.status.success()).then_some(text)
}

/// Which lives find a fault, and the rule that is broken.
fn found(mutant: &Mutant, src: &Path) -> Option<String> {
    let file = src.join("arbiter").join(mutant.file);
    let source = fs::read_to_string(&file).unwrap();
    fs::write(&file, source.replacen(mutant.before, mutant.after, 1)).unwrap();
    let program = compile(src);
    fs::write(&file, source).unwrap();
    let mut found = LIVES.iter().filter_map(|lives| Some((lives, play(&program, lives)?)));
    let (lives, told) = found.next()?;
    let rule = told.lines().skip_while(|line| !line.starts_with("life ")).take(2);
    let steps = told.lines().filter(|line| line.starts_with("seeds "));
    let lines: Vec<&str> = rule.chain(steps).collect();
    Some(format!("{lives}: {}", lines.join(": ").replace(&format!("{}/", src.display()), "")))
}

#[test]
fn every_deliberate_fault_is_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
    let src = dir.join("src");
    for (name, tests) in [("config", false), ("signals.rs", false), ("sorted.rs", false), ("arbiter", true)] {
        let to = src.join(name);
        copy(&root.join(name), &to, tests).unwrap();
    }
    let sound = compile(&src);
    let only = std::env::var("CIRCUS_MUTANTS").unwrap_or_default();
    for lives in LIVES.iter().filter(|_| only.is_empty()) {
        assert_eq!(play(&sound, lives), None, "the arbiter as it is breaks a rule");
    }
    let chosen: Vec<&Mutant> = MUTANTS.iter().filter(|mutant| mutant.breaks.contains(&only)).collect();
    assert!(!chosen.is_empty(), "no fault is described by {only:?}");
    let mut survivors = Vec::new();
    for mutant in &chosen {
        let Mutant { file, breaks, .. } = mutant;
        match found(mutant, &src) {
            Some(how) => println!("found     {file}: {breaks}\n          {how}"),
            None => {
                println!("SURVIVES  {file}: {breaks}");
                survivors.push(*breaks);
            }
        }
    }
    println!("{} of {} faults are found", chosen.len() - survivors.len(), chosen.len());
    assert!(survivors.is_empty(), "not found: {survivors:#?}");
}

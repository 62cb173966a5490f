//! Tells the linker to leave out what only unwinding needs: the release binary aborts on a panic, so a tenth of it
//! would be tables that nobody reads. And where it puts the functions of `circus run`.

fn main() {
    println!("cargo:rerun-if-changed=src/link.ld");
    println!("cargo:rerun-if-changed=src/run.ld");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|is| is == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{root}/src/link.ld");
        if std::env::var_os("CARGO_FEATURE_RUN").is_some() {
            println!("cargo:rustc-link-arg-bins=-Wl,-T,{root}/src/run.ld");
        }
    }
}

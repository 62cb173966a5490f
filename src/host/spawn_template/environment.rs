//! The environment of a watcher's processes: that of circus if they copy it, what a login of their user would set, the
//! configuration's, `env_file`, and what a Python virtual environment needs. The last two come from files, which each
//! process reads itself, with the rights of its user: circus neither opens what only root may read for somebody else,
//! nor waits for a file system that does not answer.

use super::rights;
use crate::config::include::join;
use crate::config::{Files, Names, WatcherConfig, env_file, text};
use crate::host::disk::Disk;
use crate::host::surroundings::{current_dir, environ, of_a_parent};
use crate::sorted::sort;
use crate::sys::child::Child;
use crate::sys::io_words;
use crate::sys::user::User;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The environment, before the variables in it that differ from process to process are replaced, and what comes from
/// files.
///
/// # Errors
/// A sentence that says what is missing.
pub fn environment(config: &WatcherConfig) -> Result<Names, String> {
    let options = &config.options;
    let mut env = config.environment(&if options.copy_env { environ() } else { Names::new() });
    if let Some(account) = rights::account(config)? {
        for (name, value) in of_user(&account) {
            if !config.env.contains_key(name) {
                env.insert(name.into(), value);
            }
        }
    }
    // What circus's own parent said about descriptors is not about those of the child.
    for name in of_a_parent() {
        env.remove(name);
    }
    Ok(env)
}

/// Whether a variable has a shell, an interpreter or a library take in code or data from a place that it names. What is
/// set for the processes of a user often leads into that user's directories, so no hook that runs as somebody else gets
/// it. They are those that sudo takes out, and the home, where programs look for what to do.
#[cfg(feature = "helpers")]
pub fn names_code(name: &str, value: &str) -> bool {
    const BEGINNINGS: [&str; 12] = [
        "LD_", "XDG_", "GIT_", "PYTHON", "PERL", "RUBY", "NODE_", "BASH", "GCONV_", "GLIBC_", "MALLOC_",
        "TERMINFO",
    ];
    const WHOLE: &str = "CDPATH CLASSPATH ENV FPATH GEM_HOME GEM_PATH GETCONF_DIR GLOBIGNORE HOME HOSTALIASES IFS \
        JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS LOCALDOMAIN LOCPATH LUA_INIT NLSPATH OPENSSL_CONF PS4 RES_OPTIONS \
        SHELLOPTS TERMCAP TERMPATH ZDOTDIR";
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || WHOLE.split(' ').any(|whole| whole == name)
        // A function of the shell.
        || value.starts_with("()")
}

/// Whether processes find a part of their environment in files.
pub fn has_files(config: &WatcherConfig) -> bool {
    config.options.env_file.is_some() || config.options.virtualenv.is_some()
}

/// The environment of a child with what its files say. What circus tells a process is not theirs to say. This runs in
/// the process, as its user, and not in circus.
///
/// # Errors
/// A sentence that names the file or directory that is missing.
pub fn with_files(config: &WatcherConfig, child: &Child) -> Result<Names, String> {
    let options = &config.options;
    let variables = child.env.iter().map(|variable| text::from_bytes(variable.as_bytes()));
    let named =
        variables.filter_map(|text| text.split_once('=').map(|(name, value)| (name.into(), value.into())));
    let mut env: Names = named.collect();
    let of_circus = |name: &str, env: &Names| {
        let known = ["CIRCUS_", "EINHORN_FD_"].iter().any(|prefix| name.starts_with(prefix));
        of_a_parent().any(|own| own == name) || known && env.contains_key(name)
    };
    if let Some(path) = &options.env_file {
        for (name, value) in from_file(path)? {
            if !of_circus(&name, &env) {
                env.insert(name, value);
            }
        }
    }
    if let Some(directory) = &options.virtualenv {
        activate(&mut env, &join(&current_dir(), directory), options.virtualenv_py_ver.as_deref())?;
    }
    Ok(env)
}

/// What a login would set. Those of circus, even where they are copied, are another user's; those that the
/// configuration sets are meant. Who cannot log in gets the usual shell all the same, for programs that start one.
fn of_user(user: &User) -> [(&'static str, String); 4] {
    let text = |path: &Path| text::from_bytes(path.as_os_str().as_bytes());
    let (home, shell) = (text(&user.home), text(&user.shell));
    let none = shell.is_empty() || shell.ends_with("/nologin") || shell.ends_with("/false");
    [
        ("HOME", if home.is_empty() { "/".into() } else { home }),
        ("USER", user.name.clone()),
        ("LOGNAME", user.name.clone()),
        ("SHELL", if none { "/bin/sh".into() } else { shell }),
    ]
}

/// The variables of `env_file`; a `-` before its path says that it may be missing.
fn from_file(text: &str) -> Result<Vec<(String, String)>, String> {
    let (path, optional) = match text.strip_prefix('-') {
        Some(path) => (path.trim_start(), true),
        None => (text, false),
    };
    match Disk.text(path) {
        Ok(text) => env_file::parse(&text).map_err(|why| format!("env_file = {path}: {why}")),
        Err(error) if optional && error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("env_file = {path}: {}", io_words(&error))),
    }
}

/// Does what the `activate` of a virtual environment does, and what Circus does besides: programs are found in it
/// first, and any Python finds its packages, whatever version it was made with.
fn activate(env: &mut Names, directory: &str, version: Option<&str>) -> Result<(), String> {
    let site = site_packages(directory, version)?;
    let bin = join(directory, "bin");
    let path = env.get("PATH").map_or(super::DEFAULT_PATH, String::as_str);
    let path = format!("{bin}:{path}");
    let mut packages = listed_in_pth(&site);
    packages.extend(env.get("PYTHONPATH").filter(|path| !path.is_empty()).cloned());
    packages.push(site);
    env.insert("PATH".into(), path);
    env.insert("PYTHONPATH".into(), packages.join(":"));
    env.insert("VIRTUAL_ENV".into(), directory.into());
    Ok(())
}

/// `lib/pythonX.Y/site-packages`: that of the version that is asked for, else that of the newest Python.
fn site_packages(directory: &str, version: Option<&str>) -> Result<String, String> {
    let lib = join(directory, "lib");
    let listed = Disk.list(&lib).map_err(|error| format!("virtualenv: {lib}: {}", io_words(&error)))?;
    let mut newest = ((0, 0), None);
    for name in listed {
        let site = format!("{lib}/{name}/site-packages");
        let Some(number) = version_of(&name).filter(|_| Disk.list(&site).is_ok()) else { continue };
        if version.is_some_and(|version| name.ends_with(version.trim())) {
            return Ok(site);
        }
        if number >= newest.0 {
            newest = (number, Some(site));
        }
    }
    newest.1.ok_or_else(|| format!("virtualenv: {lib} has no python*/site-packages"))
}

/// The numbers in `python3.11` or `pypy3.10`.
fn version_of(name: &str) -> Option<(u32, u32)> {
    let version = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"))?;
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The directories that the `*.pth` files of a directory list and that are there, in the order of the files' names.
fn listed_in_pth(site: &str) -> Vec<String> {
    let mut directories: Vec<String> = Vec::new();
    for name in sort(Disk.list(site).unwrap_or_default()) {
        if !name.ends_with(".pth") {
            continue;
        }
        let text = Disk.text(&join(site, &name)).unwrap_or_default();
        for line in text.lines().map(str::trim_end) {
            let directory = join(site, line);
            let ignored = line.is_empty() || line.starts_with('#') || line.starts_with("import");
            if !ignored && Disk.list(&directory).is_ok() && !directories.contains(&directory) {
                directories.push(directory);
            }
        }
    }
    directories
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn dir() -> PathBuf {
        static N: AtomicU32 = AtomicU32::new(0);
        let n = N.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("circus-environment-{}-{n}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn config(change: impl FnOnce(&mut WatcherConfig)) -> WatcherConfig {
        let mut config = WatcherConfig::default();
        change(&mut config);
        config
    }

    fn in_child(config: &WatcherConfig) -> Result<Names, String> {
        let env = environment(config)?;
        let env = env.iter().map(|(name, value)| super::super::c_string(&format!("{name}={value}")));
        with_files(config, &Child { env: env.collect::<Result<_, _>>()?, ..Child::default() })
    }

    #[test]
    fn a_file_says_nothing_in_circuss_name() {
        let dir = dir();
        let path = dir.join("env");
        fs::write(&path, "LISTEN_FDS=9\nCIRCUS_ID=x\nCIRCUS_OWN=y\nEINHORN_FD_0=7\nNOTIFY_SOCKET=/z\n")
            .unwrap();
        let config = config(|c| c.options.env_file = Some(path.to_str().unwrap().into()));
        let env = [c"LISTEN_FDS=1", c"CIRCUS_ID=1-2", c"EINHORN_FD_0=3"].map(Into::into).into();
        let env = with_files(&config, &Child { env, ..Child::default() }).unwrap();
        let told: Vec<_> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(told, ["CIRCUS_ID=1-2", "CIRCUS_OWN=y", "EINHORN_FD_0=3", "LISTEN_FDS=1"]);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_overrides_the_configuration_and_may_be_optional() {
        let dir = dir();
        let path = dir.join("env");
        let name = path.to_str().unwrap();
        fs::write(&path, "A=file\nB='x y'\n").unwrap();
        let of = |file: &str| {
            in_child(&config(|c| {
                c.env = std::rc::Rc::new(Names::from_iter([("A".into(), "ini".into())]));
                c.options.env_file = Some(file.into());
            }))
        };
        let env = of(name).unwrap();
        assert_eq!((env.get("A").unwrap().as_str(), env.get("B").unwrap().as_str()), ("file", "x y"));
        assert_eq!(of(&format!("-{name}.none")).unwrap().len(), 1);
        assert_eq!(
            of(&format!("{name}.none")).unwrap_err(),
            format!("env_file = {name}.none: No such file or directory")
        );
        assert!(of(dir.to_str().unwrap()).unwrap_err().contains("is not a regular file"));
        fs::write(&path, "A\n").unwrap();
        assert_eq!(
            of(&format!("-{name}")).unwrap_err(),
            format!("env_file = {name}: line 1 is no NAME=value")
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_virtual_environment_is_found_whatever_its_version() {
        let dir = dir();
        let venv = dir.to_str().unwrap().to_string();
        for version in ["python3.9", "python3.11", "pypy3.10"] {
            fs::create_dir_all(dir.join("lib").join(version).join("site-packages/inner")).unwrap();
        }
        let site = |version: &str| format!("{venv}/lib/{version}/site-packages");
        let listed = format!("# a comment\nimport os\ninner\n{venv}\nnone\n\n");
        fs::write(format!("{}/easy.pth", site("python3.11")), listed).unwrap();
        let of = |version: Option<&str>| {
            in_child(&config(|c| {
                c.env = std::rc::Rc::new(Names::from_iter([("PYTHONPATH".into(), "/mine".into())]));
                c.options.virtualenv = Some(venv.as_str().into());
                c.options.virtualenv_py_ver = version.map(Into::into);
            }))
        };
        let env = of(None).unwrap();
        let newest = site("python3.11");
        assert_eq!(env.get("PYTHONPATH").unwrap(), &format!("{newest}/inner:{venv}:/mine:{newest}"));
        assert!(env.get("PATH").unwrap().starts_with(&format!("{venv}/bin:")));
        assert_eq!(env.get("VIRTUAL_ENV").unwrap(), &venv);
        assert!(of(Some("3.9")).unwrap().get("PYTHONPATH").unwrap().ends_with(&site("python3.9")));
        assert!(of(Some("3.10")).unwrap().get("PYTHONPATH").unwrap().ends_with(&site("pypy3.10")));
        assert!(of(Some("2.7")).unwrap().get("PYTHONPATH").unwrap().ends_with(&newest));
        fs::remove_dir_all(dir.join("lib")).unwrap();
        assert!(of(None).unwrap_err().starts_with("virtualenv: "));
        fs::remove_dir_all(dir).unwrap();
    }
}

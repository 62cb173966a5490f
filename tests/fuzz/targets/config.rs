//! Whole configurations: read, compared with themselves, checked, and turned into what clients are told.

use crate::seeds::Examples;
use circus::config::{self, Config, Files, Names, Severity, check, load};
use circus::control::answers;
use std::io;

/// A line that begins another file, which is called by what follows.
const FILE: &[u8] = b"\n#file ";

/// Files in memory. The first is the main one.
struct Memory<'a>(Vec<(String, &'a [u8])>);

impl<'a> Memory<'a> {
    fn of(input: &'a [u8]) -> Memory<'a> {
        let mut files = vec![("/etc/circus.ini".to_string(), input)];
        while let Some((_, rest)) = files.last() {
            let Some(end) = rest.windows(FILE.len()).position(|window| window == FILE) else { break };
            let (before, after) = rest.split_at(end);
            let after = &after[FILE.len()..];
            let line = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
            let path = format!("/etc/{}", String::from_utf8_lossy(&after[..line]));
            files.last_mut().expect("a file").1 = before;
            files.push((path, &after[line..]));
        }
        Memory(files)
    }
}

impl Files for Memory<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let file = self.0.iter().find(|(name, _)| name == path);
        file.map(|(_, bytes)| bytes.to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let rests = self.0.iter().filter_map(|(name, _)| name.strip_prefix(dir)?.strip_prefix('/'));
        Ok(rests.filter_map(|rest| rest.split('/').next()).map(str::to_string).collect())
    }
}

/// One file with about everything in it.
const EVERYTHING: &str = "\u{feff}[circus]\ninclude = c *.ini\ncheck_delay = 1.5\nendpoint = tcp://*:1 ; x\n[env]\nA = $HOME\n\
    B=$(circus.env.A)((circus.env.B))\n[env:w*,[!a-c]?]\nC = \"\"\n[watcher:w1]\ncmd = sh -c 'a \"b' \\\n  $(circus.wid)\n\
    args: --fd $(circus.sockets.Web)\nnumprocesses = 2\nrlimit_nofile = 1\nhooks.before_start = a, true\n\
    stdout_stream.class = FileStream\nstdout_stream.filename = f\nstop_signal = RTMIN+1\nuser = x\nrem x\n\
    [socket:web]\nhost = localhost\nport = 1\npath = /x\n[plugin:p]\nuse = a.B\n[DEFAULT]\nuid = \u{ff}\n[odd]\nk = v\n";

pub fn examples(examples: &Examples) -> Vec<Vec<u8>> {
    let files: [&[u8]; 2] = [
        b"[circus]\ninclude = a.ini d/*.ini\ninclude_dir = $(circus.env.D)\n#file a.ini\n[watcher:a]\ncmd = a\n\
          #file d/b.ini\n[watcher:a]\nargs = b\n[env:a]\nX = 1\n#file e/c.ini\n[circus]\ncheck_delay = 2\n",
        b"[DEFAULT]\na = 1\n[env]\nA = $HOME\nB = $(circus.env.A)$(circus.env.A)\n[env:*]\nC = $(circus.env.B)\n\
          [watcher:x]\ncmd = $(circus.env.C) ((circus.wid)) $(circus.sockets.s)\n[socket:s]\nport = 0\n",
    ];
    let files = files.into_iter().chain([EVERYTHING.as_bytes()]);
    examples.configurations.iter().cloned().chain(files.map(<[u8]>::to_vec)).collect()
}

pub fn run(input: &[u8]) {
    let files = Memory::of(input);
    let environ = [("HOME", "/root"), ("PATH", "/usr/bin:/bin"), ("D", "e"), ("EMPTY", "")];
    let environ: Names = environ.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let loaded = config::load("/etc/circus.ini", &files, &environ, "/");
    let fatal = loaded.findings.iter().any(|finding| finding.severity == Severity::Fatal);
    assert_eq!(
        loaded.config.is_none(),
        fatal,
        "a configuration that is there and cannot be used, or the reverse"
    );
    let (config, findings) = load::read("/etc/circus.ini", &files, &environ, "/");
    assert_eq!(findings.len(), loaded.findings.len(), "reading it twice is not the same");
    let Some(config) = config else { return };
    assert!(loaded.config.is_none_or(|loaded| loaded == config), "reading it twice is not the same");
    let findings = findings.into_iter().chain(check::check(&config, "/run/circus/circus.sock"));
    for finding in findings {
        assert!(finding.message.len() < 4096, "a message of {} bytes", finding.message.len());
        assert!(!finding.message.contains('\n'), "a message of several lines: {}", finding.message);
    }
    assert!(config.watchers.is_sorted_by(|a, b| a.name < b.name), "the watchers are not sorted");
    let mut names: Vec<String> = config.watchers.iter().map(|watcher| watcher.name.to_lowercase()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), config.watchers.len(), "two watchers of one name");
    if !fatal {
        take_over(&config, input, &environ);
    }
    for watcher in &config.watchers {
        config::model::check_name(&watcher.name).expect("a name");
        let options = answers::options(watcher);
        let listed = options["options"].as_object().expect("an object");
        let keys: Vec<String> = listed.keys().cloned().collect();
        answers::get(watcher, &keys).expect("what `options` lists can be asked for");
    }
}

/// What has changed in a file is taken over whole: without its last lines it is another file.
fn take_over(config: &Config, input: &[u8], environ: &Names) {
    let shorter = input.len() - input.len() / 3;
    let files = Memory::of(input.get(..shorter).unwrap_or_default());
    let Some(other) = config::load("/etc/circus.ini", &files, environ, "/").config else { return };
    for old in &config.watchers {
        let Some(new) = other.watchers.iter().find(|new| new.name == old.name) else { continue };
        let mut watcher = old.clone();
        let changes = watcher.take_over(old, new);
        assert!(watcher.says_the_same(new), "{changes:?} is not all");
        assert_eq!(changes.is_empty(), old.says_the_same(new), "{changes:?}");
    }
}

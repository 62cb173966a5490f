//! Command lines, environments and messages, without a process.

use super::*;

fn template(config: &WatcherConfig) -> Result<SpawnTemplate, String> {
    SpawnTemplate::new(config, &[], None)
}

/// What the process of this number would be.
fn child(config: &WatcherConfig, wid: u32) -> Child {
    let mut template = template(config).unwrap();
    template.vary(&Rc::new(config.clone()), wid).unwrap();
    template.child
}

fn words(child: &[CString]) -> Vec<&str> {
    child.iter().map(|word| word.to_str().unwrap()).collect()
}

fn config(cmd: &str) -> WatcherConfig {
    let mut config = WatcherConfig { name: "w".into(), ..WatcherConfig::default() };
    config.options.cmd = cmd.into();
    config
}

#[test]
fn the_command_line_is_expanded_then_split() {
    let mut c = config(
        "prog --id $(circus.wid) '$(circus.env.X)' ((CIRCUS.numprocesses)) $(circus.foo)$(circus.env)",
    );
    c.options.args = "-n \"$(circus.wid) b\"".into();
    std::rc::Rc::make_mut(&mut c.env).insert("X".into(), "a b".into());
    c.free.insert("foo".into(), "bar".into());
    let child = child(&c, 7);
    assert_eq!(
        words(&child.argv),
        ["prog", "--id", "7", "a b", "1", "$(circus.foo)$(circus.env)", "-n", "7 b"]
    );
}

#[test]
fn a_shell_gets_the_text_unquoted() {
    let mut c = config("echo $HOME | cat; exit 3");
    c.options.shell = true;
    c.options.shell_args = Some("zero one".into());
    let child = child(&c, 1);
    assert_eq!(words(&child.argv), ["/bin/sh", "-c", "echo $HOME | cat; exit 3", "zero", "one"]);
    assert_eq!(words(&child.programs), ["/bin/sh"]);
}

#[test]
fn a_bare_program_is_looked_for_in_the_childs_path() {
    let mut c = config("prog");
    std::rc::Rc::make_mut(&mut c.env).insert("PATH".into(), "/a:/b/::rel".into());
    let child = child(&c, 1);
    assert_eq!(words(&child.programs), ["/a/prog", "/b/prog", "./prog", "rel/prog"]);
    let c = config("./bin/prog x");
    assert_eq!(template(&c).unwrap().child.programs[0].to_str().unwrap(), "./bin/prog");
}

#[test]
fn what_does_not_exist_is_said_with_its_name() {
    let reason = |c: &WatcherConfig| template(c).err().unwrap();
    let mut c = config("true");
    c.options.uid = Some("no-such-user".into());
    assert_eq!(reason(&c), "uid = no-such-user: there is no such user");
    let mut c = config("true");
    c.rlimits.insert("nonsense".into(), Some(1));
    assert!(reason(&c).starts_with("rlimit_nonsense: there is no such limit"));
    assert!(reason(&config("")).contains("cmd is empty"));
    assert!(reason(&config("run '")).contains("cmd = run '"));
    assert!(reason(&config("run $(circus.sockets.web)")).contains("[socket:web]"));
}

#[test]
fn children_have_a_path_and_nothing_of_circuss_own_sockets() {
    let mut c = config("true");
    std::rc::Rc::make_mut(&mut c.env).insert("LISTEN_FDS".into(), "4".into());
    let child = child(&c, 1);
    assert_eq!(words(&child.env), [format!("PATH={DEFAULT_PATH}")]);
    assert!(!child.listen_pid);
}

#[test]
fn a_program_is_looked_for_in_so_many_directories_and_no_more() {
    let path = "/a:".repeat(300_000);
    assert_eq!(candidates("x", &path).count(), 1000);
    assert_eq!(candidates("/x", &path).count(), 1);
}

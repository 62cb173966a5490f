//! Roles: every command and every key as every role, over the real socket and by real users; what may be told to whom.

use crate::common::client::{Client, Events};
use crate::common::user::{NOBODY, relay};
use crate::common::{Circus, needs_root, run, until};
use circus::config::families::FAMILIES;
use circus::config::options::{Live, Role, Spec, WATCHER};
use circus::config::{Kind, Value, families};
use circus::control::commands::{COMMANDS, Command};
use serde_json::{Value as Json, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const LOOK: u32 = 47_101;
const OPERATE: u32 = 47_102;
const ADMIN: u32 = 47_103;
const STRANGER: u32 = 47_104;
const GROUP: u32 = 47_200;

/// Stand in environments; in command lines and other texts; in output.
const ENV: &str = "hunter2-env";
const TEXT: &str = "hunter2-text";
const OUTPUT: &str = "hunter2-output";

/// Whoever has a role, and which one.
const PEOPLE: [(u32, &[u32], Role); 5] = [
    (LOOK, &[], Role::Look),
    (STRANGER, &[1, GROUP], Role::Look),
    (OPERATE, &[], Role::Operate),
    (NOBODY, &[], Role::Owner),
    (ADMIN, &[], Role::Admin),
];

fn start() -> Circus {
    let circus = Circus::start(&format!(
        "[circus]\nendpoint = {{dir}}/sock\nendpoint_owner = {NOBODY}\n\
         [access]\nlook = user:{LOOK} group:{GROUP}\noperate = user:{OPERATE} web*\nadmin = user:{ADMIN}\n\
         [watcher:web1]\ncmd = sh -c 'echo {OUTPUT}; exec sleep 1000' {TEXT}\nown_key = {TEXT}\n\
         stdout_stream.class = QueueStream\nstderr_stream.class = QueueStream\n\
         stop_command = sh -c 'kill $CIRCUS_PID' {TEXT}\nhooks.after_spawn = sh -c 'echo {OUTPUT}; exit 1' {TEXT}, true\n\
         [watcher:db]\ncmd = /nowhere/{TEXT}\nmax_retry = 0\n[watcher:web2]\ncmd = /nowhere/{TEXT}\nmax_retry = 0\nautostart = False\n\
         [env]\nPASSWORD = {ENV}\n"
    ));
    circus.up("web1");
    circus.until_status("db", "stopped");
    circus.ask("set", json!({"name": "web1", "options": {"env": {"PASSWORD": ENV}}, "waiting": true}));
    until("the output is kept", || {
        circus.ask("tail", json!({"name": "web1"})).to_string().contains(OUTPUT).then_some(())
    });
    circus
}

/// The properties that a command needs at least, and the name of a watcher.
fn properties(command: &Command, name: &str) -> Json {
    let value = |key: &str| match key {
        "name" if command.name == "add" => Some(json!("another")),
        "name" => Some(json!(name)),
        "cmd" => Some(json!("sleep 1000")),
        "keys" => Some(json!(["numprocesses"])),
        "options" if command.name == "set" => Some(json!({"numprocesses": 1})),
        "options" => Some(json!({"uid": NOBODY.to_string()})),
        "signum" => Some(json!("CONT")),
        "action" => Some(json!("reopen")),
        _ => None,
    };
    command.args.iter().filter_map(|arg| Some((arg.key.to_string(), value(arg.key)?))).collect()
}

/// All commands; those after which others have nothing to be tried on come last.
fn commands() -> Vec<&'static Command> {
    let mut commands: Vec<&Command> = COMMANDS.iter().collect();
    commands.sort_by_key(|command| {
        ["restart", "reloadconfig", "listen", "rm", "quit"].iter().position(|name| *name == command.name)
    });
    commands
}

fn lacks_role(reply: &Json) -> bool {
    reply["errno"] == 5 && reply["reason"].as_str().is_some_and(|why| why.contains("needs the role"))
}

#[test]
fn every_command_is_obeyed_from_its_role_on() {
    needs_root();
    for (uid, groups, role) in PEOPLE {
        let circus = start();
        let mut client = relay(uid, groups, &circus);
        for command in commands() {
            // Events would stand between the answers.
            let mut own = (command.name == "listen").then(|| relay(uid, groups, &circus));
            let client = own.as_mut().unwrap_or(&mut client);
            if role == Role::Operate {
                let reply = client.call(command.name, properties(command, "db"));
                let named = properties(command, "db").get("name").is_some();
                let refused = reply["reason"].as_str().is_some_and(|why| why.starts_with("db is not among"));
                assert_eq!(
                    refused,
                    command.role == Role::Operate && named,
                    "{} of db: {reply}",
                    command.name
                );
            }
            let reply = client.call(command.name, properties(command, "web1"));
            assert_eq!(lacks_role(&reply), role < command.role, "{} by {role:?}: {reply}", command.name);
            // What is no matter of roles is obeyed, too.
            assert!(
                lacks_role(&reply) || reply["status"] != "error",
                "{} by {role:?}: {reply}",
                command.name
            );
        }
    }
}

#[test]
fn what_is_for_all_watchers_is_refused_to_whoever_has_some() {
    needs_root();
    let circus = start();
    let mut client = relay(OPERATE, &[], &circus);
    for command in ["start", "stop", "reload"] {
        for properties in [json!({}), json!({"name": "*"}), json!({"name": "[wd]*", "match": "glob"})] {
            let reply = client.call(command, properties.clone());
            let why =
                if command == "reload" && properties != json!({}) { "program" } else { "db is not among" };
            assert!(reply["reason"].as_str().is_some_and(|text| text.starts_with(why)), "{command}: {reply}");
        }
    }
    // It reads the configuration again.
    assert!(lacks_role(&client.call("restart", json!({}))));
    assert!(lacks_role(&client.call("stats", json!({"name": "web1", "extended": true}))));
    let reply = client.call("stop", json!({"name": "WEB*", "waiting": true}));
    assert_eq!(reply["status"], "ok", "{reply}");
    circus.until_status("web1", "stopped");
}

/// A value that an option takes.
fn value(spec: &Spec) -> Json {
    let texts = ["x", "tcp:localhost:1", "none", "idle", "read-only"];
    let fits = |text: &&str| spec.fits(&Value::Str(text.to_string())).is_ok();
    match spec.kind {
        Kind::Bool | Kind::BoolOr(_) => json!(true),
        Kind::Int | Kind::Bytes | Kind::WholeSeconds => json!(1),
        Kind::Seconds => json!(1.5),
        Kind::Text => json!(texts.into_iter().find(fits).expect("a value")),
        Kind::Signal => json!("TERM"),
        Kind::Signals => json!("HUP"),
        Kind::Codes => json!("3"),
        Kind::Octal => json!("022"),
        Kind::Id => json!("root"),
        Kind::Choice(words) => json!(words[0]),
    }
}

#[test]
fn every_key_is_set_from_its_role_on() {
    needs_root();
    let circus = start();
    // What no command sets is refused to all alike.
    let rows = WATCHER.iter().filter(|row| row.live != Live::Fixed);
    let mut keys: Vec<(String, Json, Role)> =
        rows.map(|row| (row.key.to_string(), value(row), row.role)).collect();
    let member = |prefix: &str| match prefix {
        families::LIMIT => "nofile",
        families::HOOK => "before_start",
        families::CGROUP => "memory.max",
        families::FLAPPING => "attempts",
        _ => "max_bytes",
    };
    let families = FAMILIES.iter().filter(|family| family.live != Live::Fixed);
    keys.extend(
        families.map(|family| (family.prefix.to_string() + member(family.prefix), json!("1"), Role::Member)),
    );
    keys.push((families::ENV.into(), json!({"A": "1"}), Role::Owner));
    let (mut look, mut operate) = (relay(LOOK, &[], &circus), relay(OPERATE, &[], &circus));
    for (key, value, role) in keys {
        let request = json!({"name": "web1", "options": {key.as_str(): value}});
        let reply = look.call("set", request.clone());
        assert!(lacks_role(&reply), "{key}: {reply}");
        let reply = operate.call("set", request);
        let above = reply["reason"].as_str().is_some_and(|why| why.contains("can be set by admin only"));
        assert_eq!(above, role > Role::Operate, "{key}: {reply}");
    }
}

/// Everything that somebody is told, whatever is asked.
fn told(client: &mut Client) -> String {
    let mut told = String::new();
    let mut ask = |command: &str, properties: Json| {
        told += &client.call(command, properties).to_string();
    };
    for name in ["web1", "db"] {
        let families = FAMILIES
            .iter()
            .flat_map(|family| [family.whole().to_string(), family.whole().to_string() + "_conf"]);
        let keys = WATCHER.iter().map(|row| row.key.to_string()).chain(families);
        let others =
            ["env", "own_key", "name", "hooks.after_spawn", "stdout_stream.class"].map(str::to_string);
        for key in keys.chain(others) {
            ask("get", json!({"name": name, "keys": [key]}));
        }
        for command in
            COMMANDS.iter().filter(|command| command.role == Role::Look && command.name != "listen")
        {
            ask(command.name, properties(command, name));
            ask(command.name, json!({}));
        }
        for flags in [
            json!({"check": true}),
            json!({"details": true}),
            json!({"name": name, "check": true, "details": true}),
        ] {
            ask("status", flags);
        }
        ask("stats", json!({"name": name, "extended": true}));
        ask("tail", json!({"name": name, "lines": 100}));
    }
    // A start that fails, the properties of a request that is wrong.
    ask("start", json!({"name": "web2", "waiting": true}));
    ask("why", json!({"name": "web2"}));
    told
}

#[test]
fn no_role_is_told_what_it_may_not_know() {
    needs_root();
    for (uid, groups, role) in PEOPLE {
        let circus = start();
        let mut client = relay(uid, groups, &circus);
        let mut told = told(&mut client);
        let mut events = Events::of(client, &[]);
        circus.ask("restart", json!({"name": "web1", "waiting": true}));
        circus.call("start", json!({"name": "db", "waiting": true}));
        circus.ask("stop", json!({"name": "web1", "waiting": true}));
        events.wait("watcher.web1.hook_failure");
        events.wait("watcher.web1.stop");
        told += &format!("{:?}", events.seen);
        for (secret, least) in [(ENV, Role::Admin), (TEXT, Role::Owner), (OUTPUT, Role::Owner)] {
            assert_eq!(told.contains(secret), role >= least, "{secret} to {role:?}: {told}");
        }
        // Names and numbers are told to all.
        assert!(told.contains("PASSWORD") && told.contains("\"numprocesses\":1"), "{told}");
    }
}

#[test]
fn whoever_has_no_role_is_told_so_and_a_role_that_is_taken_away_ends_at_once() {
    needs_root();
    let circus = start();
    let mode = circus.dir.path("sock").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    let mut stranger = relay(STRANGER, &[], &circus);
    let reply = stranger.reply();
    let said = reply["reason"].as_str().unwrap();
    assert!(said.contains("uid 47104 has no role here") && said.contains("[access]"), "{reply}");
    assert_eq!(stranger.line(), None);
    let (mut look, mut operate) = (relay(LOOK, &[], &circus), relay(OPERATE, &[], &circus));
    assert_eq!(look.call("listen", json!({}))["status"], "ok");
    assert_eq!(operate.call("numwatchers", json!({}))["numwatchers"], 3);
    let text = circus.dir.read("circus.ini").replace(&format!("user:{LOOK} "), &format!("user:{OPERATE} "));
    circus.dir.write("circus.ini", &text.replace(&format!("operate = user:{OPERATE} web*\n"), ""));
    let reply = circus.call("reloadconfig", json!({}));
    assert_eq!(reply["status"], "ok", "{reply}");
    while look.line().is_some() {}
    assert!(lacks_role(&operate.call("stop", json!({"name": "web1"}))));
    assert_eq!(operate.call("numwatchers", json!({}))["numwatchers"], 3);
}

#[test]
fn a_directory_that_lets_no_role_pass_is_named_by_check_and_at_the_start() {
    let ini = "[circus]\nendpoint = {dir}/sock\n[access]\nlook = user:0\n[watcher:w]\ncmd = sleep 1000\n";
    let dir = crate::common::Dir::new();
    std::fs::set_permissions(dir.path(""), Permissions::from_mode(0o700)).expect("its owner");
    let circus = Circus::with(dir, ini, |_| {});
    let named = format!(
        "`{}` has mode 700 and lets no user with a role pass",
        circus.dir.name("").trim_end_matches('/')
    );
    circus.log.line(&named);
    let ended = run(crate::common::circus().arg("check").arg(circus.dir.name("circus.ini")));
    assert!(ended.out.contains(&format!("circus.ini:4: warning: {named}")), "{}", ended.out);
}

#[test]
fn rights_that_are_not_understood_keep_circus_from_starting() {
    let mut circus = Circus::launch(
        crate::common::Dir::new(),
        "[access]\noperate = deploy web*\n[watcher:w]\ncmd = sleep 1000\n",
        |_| {},
    );
    let line = circus.log.line("operate");
    assert!(line.contains("begin with user:NAME or group:NAME"), "{line}");
    assert_eq!(circus.wait(), 100);
}

/// A circus with limits, for a user who may look.
fn limited(limits: &str) -> Circus {
    let circus = Circus::start(&format!(
        "[circus]\nendpoint = {{dir}}/sock\n[access]\nlook = user:{LOOK} user:{STRANGER}\nadmin = user:{ADMIN}\n{limits}\n\
         [watcher:web]\ncmd = sleep 1000\n"
    ));
    circus.up("web");
    circus
}

#[test]
fn a_user_has_so_many_connections_and_others_have_theirs() {
    needs_root();
    let circus = limited("connections = 2");
    let client = |uid| {
        let mut client = relay(uid, &[], &circus);
        let reply = client.call("numwatchers", json!({}));
        (reply["status"] == "ok").then_some(client).ok_or(reply)
    };
    let kept = (client(LOOK).expect("one"), client(LOOK).expect("two"));
    let refused = client(LOOK).err().expect("three are too many");
    assert!(refused["reason"].as_str().unwrap().contains("too many control connections"), "{refused}");
    let others: Vec<Client> = [STRANGER, ADMIN, ADMIN, ADMIN].map(|uid| client(uid).expect("its own")).into();
    drop((kept, others));
}

#[test]
fn whoever_asks_too_much_is_answered_later_but_answered() {
    needs_root();
    let circus = limited("requests = 100");
    let request = "{\"command\": \"numwatchers\"}\n";
    let begin = Instant::now();
    let (mut one, mut other) = (relay(LOOK, &[], &circus), relay(LOOK, &[], &circus));
    one.send(request.repeat(150));
    other.send(request.repeat(150));
    for _ in 0..150 {
        assert_eq!(
            (one.reply()["numwatchers"].clone(), other.reply()["numwatchers"].clone()),
            (json!(1), json!(1))
        );
    }
    // What is slowed down cannot have been faster, however slow the machine is.
    assert!(begin.elapsed() > Duration::from_millis(1500), "{:?}", begin.elapsed());
}

#[test]
fn an_idle_connection_ends_unless_something_is_awaited() {
    needs_root();
    let circus = limited("idle_timeout = 0.3");
    let mut root = circus.client();
    assert_eq!(root.call("numwatchers", json!({}))["numwatchers"], 1);
    let mut listener = Events::of(relay(LOOK, &[], &circus), &["watcher.web.stop"]);
    let mut idle = relay(LOOK, &[], &circus);
    assert_eq!(idle.call("numwatchers", json!({}))["numwatchers"], 1);
    let said = idle.reply();
    assert!(said["reason"].as_str().unwrap().contains("idle_timeout"), "{said}");
    assert_eq!(idle.line(), None);
    assert_eq!(root.call("stop", json!({"name": "web", "waiting": true}))["status"], "ok");
    listener.wait("watcher.web.stop");
}

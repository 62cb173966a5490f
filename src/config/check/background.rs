//! Programs that go into the background by themselves, so that circus takes the first process's end for theirs.

use super::Checker;
use crate::config::ini::{excerpt, shorten};
use crate::config::model::WatcherConfig;
use crate::config::options::{WatcherOptions, watcher};
use crate::config::{Files, text, words};

/// When a program goes into the background.
enum When {
    /// One of these is in its command line.
    With(&'static str),
    /// None of these is.
    Without(&'static str),
}
use When::{With, Without};

/// Programs by name, when they go into the background, and what keeps them from it. Words that belong together stand
/// between commas. What follows a name that ends with `*` is a version.
const PROGRAMS: &[(&str, When, &str)] = &[
    ("apache2 httpd", Without("FOREGROUND,-DFOREGROUND,-DNO_DETACH,NO_DETACH,-X,-f"), "add `-D FOREGROUND`"),
    ("apachectl apache2ctl", Without("FOREGROUND,-DFOREGROUND"), "run `apachectl -D FOREGROUND`"),
    ("caddy", With("start"), "run `caddy run`"),
    ("celery", With("multi,--detach,-D"), "run `celery -A APP worker`"),
    ("cron crond", Without("-f,-n,-d"), "add `-f` (`-n` where it is cronie)"),
    ("dnsmasq", Without("-k,-d,--keep-in-foreground,--no-daemon"), "add `-k`"),
    ("gunicorn", With("-D,--daemon"), "leave that out"),
    ("haproxy", With("-D"), "leave that out, or take `-W`"),
    ("lighttpd", Without("-D,-t"), "add `-D`"),
    ("memcached", With("-d,--daemon"), "leave that out"),
    ("mongod mongos", With("--fork"), "leave that out"),
    ("mysqld mariadbd", With("--daemonize"), "leave that out"),
    ("nginx", Without("daemon off,-c,-p,-s,-t,-T,-v,-V,-h"), "add `-g 'daemon off;'`"),
    ("pg_ctl", With("start,restart"), "run `postgres -D DIRECTORY`"),
    ("pg_ctlcluster", Without("--foreground"), "add `--foreground`"),
    ("pgbouncer", With("-d,--daemon"), "leave that out"),
    ("php-fpm*", Without("-F,--nodaemonize,-t,-i,-v,-y,--fpm-config"), "add `-F`"),
    ("pm2", With("start"), "run `pm2-runtime`, or the program itself"),
    ("postfix", With("start"), "run `postfix start-fg`"),
    ("rabbitmq-server", With("-detached"), "leave that out"),
    ("redis-server valkey-server", With("--daemonize yes"), "set `--daemonize no`"),
    ("rsyslogd", Without("-n"), "add `-n`"),
    ("service systemctl", With("start,restart"), "run the program itself"),
    ("sshd", Without("-D,-d,-i,-t,-T"), "add `-D`"),
    ("supervisord", Without("-n,--nodaemon,-c,--configuration"), "add `-n`"),
    ("uwsgi", With("-d,--daemonize,--daemonize2"), "leave that out"),
    ("varnishd", Without("-F,-d,-C"), "add `-F`"),
];

/// Programs that run the one whose name follows.
const WRAPPERS: &str = "env exec ionice nice nohup stdbuf sudo time";

impl Checker {
    /// Whether the program of a watcher leaves circus with the end of a process that only started others.
    pub(super) fn goes_into_background(&mut self, watcher: &WatcherConfig) {
        let (options, place) = (&watcher.options, (&*watcher.origins, watcher::cmd));
        let text = options.cmd.trim_end();
        let last = text.strip_suffix('&').filter(|rest| options.shell && !rest.ends_with('&'));
        if last.is_some() {
            let what = "the `&` at the end puts the program into the background, and the shell ends at once";
            return self.warn(place, format!("{what}: {TAKEN_FOR_ITS_END}; leave that out"));
        }
        if let Some(message) = problem(&all_words(options)) {
            self.warn(place, message);
        }
    }
}

/// The same of an nginx whose command line names its configuration: that has the last word, if it can be read.
pub fn by_its_file(options: &WatcherOptions, files: &dyn Files) -> Option<String> {
    let words = all_words(options);
    let (at, name) = program(&words).filter(|(_, name)| *name == "nginx")?;
    let rest = words.get(at + 1..)?;
    let file =
        rest.get(rest.iter().position(|word| word == "-c")? + 1).filter(|file| file.starts_with('/'))?;
    let text = text::from_bytes(&files.read(file).ok()?);
    let lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    let mut settings = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    if rest.iter().any(|word| word.contains(OFF)) || settings.any(|line| line.contains(OFF)) {
        return None;
    }
    let file = excerpt(file);
    Some(format!(
        "`{name}` goes into the background unless `{file}` says `daemon off;`, and {TAKEN_FOR_ITS_END}: add it"
    ))
}

/// The words of `cmd` and `args`, as far as they can be told apart.
fn all_words(options: &WatcherOptions) -> Vec<String> {
    [words::split(&options.cmd), words::split(&options.args)].into_iter().flatten().flatten().collect()
}

/// What keeps nginx in the foreground.
const OFF: &str = "daemon off";

const TAKEN_FOR_ITS_END: &str = "circus takes that for its end and starts it again and again";

fn problem(words: &[String]) -> Option<String> {
    let (at, name) = program(words)?;
    let (_, when, instead) = PROGRAMS.iter().find(|(names, ..)| words::is_one(names, |one| is(name, one)))?;
    let rest = words.get(at + 1..)?;
    // A long option and its value may be one word.
    let line = format!(" {} ", rest.join(" ").replace('=', " "));
    let found = |word: &&str| line.contains(&format!(" {word} "));
    let name = shorten(name);
    match when {
        With(flags) => {
            let flag = flags.split(',').find(found)?;
            Some(format!(
                "with `{flag}`, `{name}` goes into the background, and {TAKEN_FOR_ITS_END}: {instead}"
            ))
        }
        Without(flags) => {
            let is_there =
                |flag: &str| found(&flag) || line.contains(&format!("{flag};")) || is_among(rest, flag);
            let message = format!(
                "`{name}` goes into the background unless its configuration says otherwise, and {TAKEN_FOR_ITS_END}: \
                 {instead}"
            );
            (!flags.split(',').any(is_there)).then_some(message)
        }
    }
}

/// The place and the name of the program in a command line.
fn program(words: &[String]) -> Option<(usize, &str)> {
    let is_python = words.first().is_some_and(|word| name_of(word).starts_with("python"));
    let module = words.iter().position(|word| word == "-m").filter(|_| is_python);
    let at = module.map(|at| at + 1).or_else(|| {
        words.iter().position(|word| {
            !(word.starts_with('-')
                || word.contains('=')
                || word.bytes().all(|b| b.is_ascii_digit())
                || words::is_one(WRAPPERS, |one| one == name_of(word).as_bytes()))
        })
    })?;
    Some((at, name_of(words.get(at)?)))
}

/// The last part of a path.
fn name_of(word: &str) -> &str {
    word.rfind('/').and_then(|at| word.get(at + 1..)).unwrap_or(word)
}

fn is(name: &str, known: &[u8]) -> bool {
    let is_version = |rest: &[u8]| rest.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    match known.strip_suffix(b"*") {
        Some(known) => name.as_bytes().strip_prefix(known).is_some_and(is_version),
        None => name.as_bytes() == known,
    }
}

/// Whether a word has several options of one letter, and this is one of them.
fn is_among(words: &[String], flag: &str) -> bool {
    let Some(letter) = flag.strip_prefix('-').filter(|letter| letter.len() == 1) else { return false };
    let are_letters = |rest: &str| rest.len() < 5 && rest.bytes().all(|b| b.is_ascii_alphabetic());
    let several =
        |word: &String| word.strip_prefix('-').is_some_and(|rest| are_letters(rest) && rest.contains(letter));
    words.iter().any(several)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::memory::Memory;

    fn found(line: &str) -> Option<String> {
        problem(&words::split(line).unwrap())
    }

    #[test]
    fn the_file_of_nginx_says_where_it_runs() {
        let said = |args: &str, text: &str| {
            let options = WatcherOptions {
                cmd: "/usr/sbin/nginx".into(),
                args: args.into(),
                ..WatcherOptions::default()
            };
            by_its_file(&options, &Memory::new(&[("/n", text)]))
        };
        let wanted = "`nginx` goes into the background unless `/n` says `daemon off;`, and circus takes";
        for text in ["", "user x;\n#daemon off;\n", "daemon on;"] {
            assert!(said("-c /n", text).is_some_and(|said| said.starts_with(wanted)), "{text}");
        }
        assert_eq!(said("-c /n", "user x;\n  daemon   off;\n"), None);
        assert_eq!(said("-c /none", ""), None);
        assert_eq!(said("-c /n -g 'daemon off;'", ""), None);
        assert_eq!(said("", ""), None);
    }

    #[test]
    fn programs_that_go_into_the_background_are_known() {
        for (line, wanted) in [
            ("nginx", "`nginx` goes into the background unless its configuration says otherwise, and circus"),
            ("/usr/sbin/nginx -g 'pid /x;'", "`nginx` goes into"),
            ("sudo nginx", "`nginx` goes into"),
            ("env A=1 nice -n 5 nginx", "`nginx` goes into"),
            ("redis-server /etc/x --daemonize yes", "with `--daemonize yes`, `redis-server` goes into"),
            ("gunicorn -D app", "with `-D`, `gunicorn`"),
            ("/x/gunicorn --daemon app", "with `--daemon`, `gunicorn`"),
            ("python3 -m gunicorn --daemon app", "with `--daemon`, `gunicorn`"),
            ("uwsgi --daemonize=/x x.ini", "with `--daemonize`, `uwsgi`"),
            ("haproxy -f x -D", "with `-D`, `haproxy`"),
            ("php-fpm8.2", "`php-fpm8.2` goes into"),
            ("apachectl start", "`apachectl` goes into"),
            ("apache2 -k start", "`apache2` goes into"),
            ("pg_ctl -D /x start", "with `start`, `pg_ctl`"),
            ("/usr/sbin/sshd", "`sshd` goes into"),
            ("cron", "`cron` goes into"),
            ("memcached -d -m 64", "with `-d`, `memcached`"),
            ("celery multi start w1", "with `multi`, `celery`"),
            ("celery -A x worker --detach", "with `--detach`, `celery`"),
            ("supervisord", "`supervisord` goes into"),
            ("service nginx start", "with `start`, `service`"),
        ] {
            assert!(found(line).is_some_and(|found| found.starts_with(wanted)), "{line}: {:?}", found(line));
        }
        for line in [
            "nginx -g 'daemon off;'",
            "nginx -g \"pid x; daemon off; user y;\"",
            "nginx -c /etc/nginx.conf",
            "nginx -t",
            "redis-server --daemonize no",
            "gunicorn -w 4 app:daemon",
            "gunicorn --daemonize-not app",
            "haproxy -W -db -f x",
            "php-fpm -F",
            "php-fpm8.2 --nodaemonize",
            "php-fpm-exporter",
            "apachectl -DFOREGROUND",
            "apache2 -d /etc/apache2 -k start -DNO_DETACH",
            "httpd -D FOREGROUND",
            "httpd -f -p 80",
            "sshd -D -e",
            "sshd -De",
            "cron -f",
            "crond -fL 2",
            "memcached -m 64",
            "celery -A tasks worker --beat",
            "supervisord -n",
            "postgres -D /x",
            "mongod --dbpath /x",
            "tail nginx",
            "",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }
}

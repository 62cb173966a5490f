//! A configuration as one JSON object, with Circus's names and shapes.

use crate::config::model::SectionConfig;
use crate::config::options::{self, Row};
use crate::config::{Config, Names, StreamConfig, Value, WatcherConfig};
use crate::control::{answers, object};
use serde_json::Value as Json;
use std::rc::Rc;

/// Writes, in pieces, the whole configuration: `circus`, and `watchers`, `sockets` and `plugins` by name. Each option has a line.
/// `environ` is the environment that watchers with `copy_env` copy.
pub fn write(config: &Config, environ: &Names, put: &mut dyn FnMut(&str)) {
    let mut page = Page { put, environ, text: Vec::new(), indent: "\n    ", first: true, environment: None };
    page.raw("{\n  \"circus\": {");
    page.rows(options::CIRCUS, &config.circus, &Names::new());
    page.raw("\n  },\n  \"access\": {");
    page.first = true;
    page.rows(options::ACCESS, &config.access.options, &Names::new());
    page.raw("\n  }");
    page.indent = "\n      ";
    page.list("watchers", &config.watchers, Page::watcher);
    page.list("sockets", &config.sockets, |page, socket| page.section(options::SOCKET, socket));
    page.list("plugins", &config.plugins, |page, plugin| page.section(options::PLUGIN, plugin));
    page.raw("\n}\n");
    page.flush();
}

/// Text that grows and is written out when there is much of it. A thousand watchers have a hundred thousand options:
/// to make one large value of them and then text of that would take four times as long.
struct Page<'a> {
    put: &'a mut dyn FnMut(&str),
    environ: &'a Names,
    text: Vec<u8>,
    /// What stands before a member.
    indent: &'static str,
    /// No member stands behind the last bracket.
    first: bool,
    /// The environment of the last watcher as text, and of what it was made: many watchers share one.
    environment: Option<(Rc<Names>, bool, Vec<u8>)>,
}

impl Page<'_> {
    fn watcher(&mut self, watcher: &WatcherConfig) {
        self.pair("name", &watcher.name.as_str().into());
        self.rows(options::WATCHER, &watcher.options, &watcher.free);
        self.environment(watcher);
        // Circus shows infinity as -1.
        let limit = |limit: &Option<u64>| limit.map_or(Json::from(-1), Json::from);
        self.pair("rlimits", &mapping(watcher.rlimits.iter().map(|(name, it)| (name.clone(), limit(it)))));
        let hook =
            |(command, flag): &(String, bool)| Json::Array(vec![command.as_str().into(), (*flag).into()]);
        self.pair("hooks", &mapping(watcher.hooks.iter().map(|(name, it)| (name.clone(), hook(it)))));
        self.pair("stdout_stream", &stream(watcher.stdout_stream.as_deref()));
        self.pair("stderr_stream", &stream(watcher.stderr_stream.as_deref()));
        // A free option that is called like one of these is not shown.
        let taken = ["name", "env", "rlimits", "hooks", "stdout_stream", "stderr_stream"];
        self.free(options::WATCHER, &watcher.free, &taken);
    }

    fn environment(&mut self, watcher: &WatcherConfig) {
        self.member("env");
        let (own, copies) = (&watcher.env, watcher.options.copy_env);
        match &self.environment {
            Some((env, copied, text)) if Rc::ptr_eq(env, own) && *copied == copies => {
                self.text.extend_from_slice(text);
            }
            _ => {
                let begin = self.text.len();
                let env = watcher.environment(self.environ);
                self.value(&mapping(env.into_iter().map(|(name, value)| (name, value.into()))));
                let text = self.text.get(begin..).unwrap_or_default().to_vec();
                self.environment = Some((Rc::clone(own), copies, text));
            }
        }
    }

    fn section<S>(&mut self, rows: &'static [Row<S>], section: &SectionConfig<S>) {
        self.pair("name", &section.name.as_str().into());
        self.rows(rows, &section.options, &section.free);
        self.free(rows, &section.free, &["name"]);
    }

    /// The options of a table with their values; where a value could not be used, its text.
    fn rows<S>(&mut self, rows: &'static [Row<S>], options: &S, free: &Names) {
        for row in rows {
            let text = free.get(row.key).map(|text| Value::Str(text.clone()));
            self.pair(row.key, &answers::json(&text.unwrap_or_else(|| row.get(options))));
        }
    }

    /// The options that no table has.
    fn free<S>(&mut self, rows: &'static [Row<S>], free: &Names, taken: &[&str]) {
        for (key, value) in free.iter() {
            if !taken.contains(&key.as_str()) && options::find(rows, key).is_none() {
                self.pair(key, &value.as_str().into());
            }
        }
    }

    fn list<T>(&mut self, name: &str, items: &[T], write: fn(&mut Self, &T)) {
        self.raw(&format!(",\n  \"{name}\": ["));
        let mut before = "\n    {";
        for item in items {
            self.raw(std::mem::replace(&mut before, ",\n    {"));
            self.first = true;
            write(self, item);
            self.raw("\n    }");
            if self.text.len() > 64 << 10 {
                self.flush();
            }
        }
        self.raw(if items.is_empty() { "]" } else { "\n  ]" });
    }

    fn pair(&mut self, key: &str, value: &Json) {
        self.member(key);
        self.value(value);
    }

    /// The beginning of a member, on a line of its own: its value comes next.
    fn member(&mut self, key: &str) {
        let first = std::mem::replace(&mut self.first, false);
        self.raw(if first { "" } else { "," });
        self.raw(self.indent);
        // As in `value`; to make a value of each key would take a fifth of the time of it all.
        let _ = serde_json::to_writer(&mut self.text, key);
        self.raw(": ");
    }

    fn value(&mut self, value: &Json) {
        // Writing to memory cannot fail, and what is written has text for keys.
        let _ = serde_json::to_writer(&mut self.text, value);
    }

    fn raw(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn flush(&mut self) {
        // All of it is text that came from text.
        (self.put)(std::str::from_utf8(&self.text).unwrap_or_default());
        self.text.clear();
    }
}

/// The options that are set; an empty object when there is no stream.
fn stream(stream: Option<&StreamConfig>) -> Json {
    let entries = stream.map(StreamConfig::entries).unwrap_or_default();
    mapping(entries.into_iter().map(|(key, value)| (key.to_string(), answers::json(&value))))
}

fn mapping(mut pairs: impl Iterator<Item = (String, Json)>) -> Json {
    Json::Object(object(&mut pairs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Files, load};
    use serde_json::json;
    use std::io;

    struct One(&'static str);

    impl Files for One {
        fn read(&self, _: &str) -> io::Result<Vec<u8>> {
            Ok(self.0.into())
        }
        fn list(&self, _: &str) -> io::Result<Vec<String>> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn each_watcher_has_its_own_environment() {
        let text = "[watcher:a]\ncmd = x\n[watcher:b]\ncmd = x\ncopy_env = 1\n[watcher:c]\ncmd = x\ncopy_env = 1\n\
            [watcher:d]\ncmd = x\n[watcher:e]\ncmd = x\n[env]\nV = 1\n[env:d]\nW = 2\n";
        let environ: Names = [("H".to_string(), "h".to_string())].into_iter().collect();
        let read = load::read("/c", &One(text), &environ, "/").0.unwrap();
        let mut text = String::new();
        write(&read, &environ, &mut |more| text += more);
        let found: Json = serde_json::from_str(&text).unwrap();
        let wanted = [
            json!({"V": "1"}),
            json!({"H": "h", "V": "1"}),
            json!({"H": "h", "V": "1"}),
            json!({"V": "1", "W": "2"}),
            json!({"V": "1"}),
        ];
        for (n, env) in wanted.into_iter().enumerate() {
            assert_eq!(found["watchers"][n]["env"], env, "{n}");
        }
    }

    #[test]
    fn values_have_circus_shapes() {
        let text = "[watcher:a]\ncmd = x\nstop_signal = INT\nrlimit_core =\nrlimit_nofile = 5\nhooks.before_start = a.b, 1\n\
            stdout_stream.class = FileStream\nstdout_stream.max_bytes = 7\nmine = 1\n[env:a]\nV = 1\n\
            [socket:S]\nport = $(circus.env.NONE)\n[plugin:p]\ncmd = y\nz = 1\n";
        let read = load::read("/c", &One(text), &Names::new(), "/").0.unwrap();
        let written = |config: &Config| {
            let mut text = String::new();
            write(config, &Names::new(), &mut |more| text += more);
            text
        };
        let text = written(&read);
        let found: Json = serde_json::from_str(&text).unwrap();
        assert!(text.starts_with("{\n  \"circus\": {\n    \"endpoint\": null,\n"), "{found}");
        let watcher = &found["watchers"][0];
        assert_eq!(watcher["name"], "a");
        assert_eq!(watcher["stop_signal"], 2);
        assert_eq!(watcher["working_dir"], Json::Null);
        assert_eq!(watcher["graceful_timeout"], 30.0);
        assert_eq!(watcher["rlimits"], json!({"core": -1, "nofile": 5}));
        assert_eq!(watcher["hooks"], json!({"before_start": ["a.b", true]}));
        assert_eq!(watcher["stdout_stream"], json!({"class": "FileStream", "max_bytes": 7}));
        assert_eq!(watcher["stderr_stream"], json!({}));
        assert_eq!((&watcher["env"], &watcher["mine"]), (&json!({"V": "1"}), &json!("1")));
        assert_eq!(found["sockets"][0]["name"], "s");
        assert_eq!(found["sockets"][0]["port"], "$(circus.env.NONE)");
        assert_eq!(
            (&found["plugins"][0]["name"], &found["plugins"][0]["z"]),
            (&json!("plugin:p"), &json!("1"))
        );
        assert_eq!(found["circus"]["check_delay"], 5.0);
        assert!(written(&Config::default()).ends_with("\n  \"plugins\": []\n}\n"));
    }
}

//! A configuration as one JSON object, with Circus's names and shapes.

use crate::config::options::{self, Row};
use crate::config::{Config, Names, PluginConfig, SocketConfig, StreamConfig, WatcherConfig};
use crate::control::{Map, answers, object};
use serde_json::Value as Json;

/// The whole configuration: `circus`, and `watchers`, `sockets` and `plugins` by name. `environ` is the environment
/// that watchers with `copy_env` copy.
pub fn config(config: &Config, environ: &Names) -> Json {
    let parts = [
        ("circus", Json::Object(rows(options::CIRCUS, &config.circus))),
        ("watchers", config.watchers.iter().map(|one| watcher(one, environ)).collect()),
        ("sockets", config.sockets.iter().map(socket).collect()),
        ("plugins", config.plugins.iter().map(plugin).collect()),
    ];
    mapping(parts.into_iter().map(|(name, part)| (name.to_string(), part)))
}

fn watcher(watcher: &WatcherConfig, environ: &Names) -> Json {
    let mut object = rows(options::WATCHER, &watcher.options);
    object.insert("name".into(), watcher.name.as_str().into());
    object.insert("env".into(), names(&watcher.environment(environ)));
    // Circus shows infinity as -1.
    let limit = |limit: &Option<u64>| limit.map_or(Json::from(-1), Json::from);
    object.insert(
        "rlimits".into(),
        mapping(watcher.rlimits.iter().map(|(name, it)| (name.clone(), limit(it)))),
    );
    let hook = |(command, flag): &(String, bool)| Json::Array(vec![command.as_str().into(), (*flag).into()]);
    object.insert("hooks".into(), mapping(watcher.hooks.iter().map(|(name, it)| (name.clone(), hook(it)))));
    object.insert("stdout_stream".into(), stream(watcher.stdout_stream.as_deref()));
    object.insert("stderr_stream".into(), stream(watcher.stderr_stream.as_deref()));
    free(object, &watcher.free)
}

/// The options that are set; an empty object when there is no stream.
fn stream(stream: Option<&StreamConfig>) -> Json {
    let entries = stream.map(StreamConfig::entries).unwrap_or_default();
    mapping(entries.into_iter().map(|(key, value)| (key.to_string(), answers::json(&value))))
}

fn socket(socket: &SocketConfig) -> Json {
    let mut object = rows(options::SOCKET, &socket.options);
    object.insert("name".into(), socket.name.as_str().into());
    free(object, &socket.free)
}

fn plugin(plugin: &PluginConfig) -> Json {
    let mut object = rows(options::PLUGIN, &plugin.options);
    object.insert("name".into(), plugin.name.as_str().into());
    free(object, &plugin.free)
}

/// The options of a table with their values.
fn rows<S>(rows: &'static [Row<S>], options: &S) -> Map {
    object(&mut rows.iter().map(|row| (row.key.to_string(), answers::json(&(row.get)(options)))))
}

/// Adds the free options; the text of a value that could not be used stands in place of the default. A free option
/// that is called like a part with an object of its own, such as `hooks`, is not shown.
fn free(mut object: Map, free: &Names) -> Json {
    for (key, value) in free {
        if !object.get(key).is_some_and(Json::is_object) {
            object.insert(key.clone(), value.as_str().into());
        }
    }
    Json::Object(object)
}

fn names(names: &Names) -> Json {
    mapping(names.iter().map(|(name, value)| (name.clone(), value.as_str().into())))
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
    fn values_have_circus_shapes() {
        let text = "[watcher:a]\ncmd = x\nstop_signal = INT\nrlimit_core =\nrlimit_nofile = 5\nhooks.before_start = a.b, 1\n\
            stdout_stream.class = FileStream\nstdout_stream.max_bytes = 7\nmine = 1\n[env:a]\nV = 1\n\
            [socket:S]\nport = $(circus.env.NONE)\n[plugin:p]\ncmd = y\nz = 1\n";
        let read = load::read("/c", &One(text), &Names::new(), "/").0.unwrap();
        let found = config(&read, &Names::new());
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
    }
}

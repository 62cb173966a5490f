//! What only root and the user of circus are told, and the log is not: the values of environments, which often hold
//! passwords.

use super::Map;
use super::python::cut;
#[cfg(feature = "edit")]
use crate::arbiter::request::Edit;
use crate::arbiter::request::Task;
use serde_json::Value as Json;
use std::fmt;

/// What stands in the place of a value.
const HIDDEN: &str = "(hidden)";

/// Takes out of an answer what others are not told: the values of an environment, and the arguments of those who gave
/// orders, which `set` and `add` may have had them in.
pub fn hide(answer: &mut Map) {
    let environment = answer.get_mut("options").and_then(|options| options.get_mut("env"));
    if let Some(Json::Object(variables)) = environment {
        variables.values_mut().for_each(|value| *value = HIDDEN.into());
    }
    let changes = answer.get_mut("changes").and_then(Json::as_array_mut);
    changes.into_iter().flatten().for_each(hide_arguments);
    answer.get_mut("since").into_iter().for_each(hide_arguments);
}

fn hide_arguments(change: &mut Json) {
    if let Some(Json::String(client)) = change.get_mut("cause").and_then(|cause| cause.get_mut("client")) {
        let program = client.split(' ').next().map_or(0, str::len);
        client.truncate(program);
    }
}

/// An order as the log shows it: of one that carries an environment, only the names of its options.
pub struct Sketch<'a>(pub &'a Task, pub &'a [u8]);

impl fmt::Display for Sketch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            #[cfg(feature = "edit")]
            Task::Edit(Edit::Set { name, options, .. } | Edit::Add { name, options, .. })
                if options.iter().any(|(key, _)| key == "env") =>
            {
                let keys: Vec<&str> = options.iter().map(|(key, _)| key.as_str()).collect();
                write!(f, "{} {}: {}", self.0.word(), cut(name), cut(&keys.join(", ")))
            }
            _ => f.write_str(&cut(&String::from_utf8_lossy(self.1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbiter::request::Request;
    use crate::control::protocol;
    use serde_json::json;

    #[test]
    fn the_log_is_told_the_names_of_options_without_their_values() {
        for (request, shown) in [
            (
                r#"{"command":"set","properties":{"name":"w","options":{"env":{"A":"secret"},"cmd":"x"}}}"#,
                "set w: cmd, env",
            ),
            (
                r#"{"command":"add","properties":{"name":"w","cmd":"secret","options":{"env":{"A":"secret"}}}}"#,
                "add w: env",
            ),
            (r#"{"command":"quit"}"#, r#"{"command":"quit"}"#),
            (
                r#"{"command":"set","properties":{"name":"w","options":{"priority":1}}}"#,
                r#"{"command":"set","properties":{"name":"w","options":{"priority":1}}}"#,
            ),
        ] {
            let Ok(Request::Order(order)) = protocol::decode(request.as_bytes()).request else { panic!() };
            assert_eq!(Sketch(&order.what, request.as_bytes()).to_string(), shown);
        }
    }

    #[test]
    fn values_of_environments_are_taken_out() {
        let by = |client: &str| json!({"cause": {"command": "set", "client": client}, "what": "ordered"});
        for (whole, rest) in [
            (
                json!({"options": {"env": {"A": "secret", "B": ""}, "cmd": "x"}}),
                json!({"options": {"env": {"A": "(hidden)", "B": "(hidden)"}, "cmd": "x"}}),
            ),
            (json!({"options": {"cmd": "x"}}), json!({"options": {"cmd": "x"}})),
            (
                json!({"since": by("ctl set w env A=secret"), "changes": [by("ctl add"), by(""), {"cause": null}]}),
                json!({"since": by("ctl"), "changes": [by("ctl"), by(""), {"cause": null}]}),
            ),
            (json!({"since": null}), json!({"since": null})),
        ] {
            let mut answer = whole.as_object().unwrap().clone();
            hide(&mut answer);
            assert_eq!(Json::Object(answer), rest);
        }
    }
}

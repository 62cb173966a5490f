//! What `circus top --json` prints: the rows, in their order, as one object. Pure.

use super::model::{Choice, Model, Row};
use crate::control::{Map, one, put};
use serde_json::Value as Json;

/// All watchers, processes and sockets that were chosen, and circus itself.
pub fn json(model: &Model, choice: &Choice) -> Json {
    let mut watchers: Vec<(Map, Vec<Json>)> = Vec::new();
    for row in model.rows(choice) {
        match (row.subject.pid, watchers.last_mut()) {
            (Some(_), Some((_, processes))) => processes.push(process(row)),
            _ => watchers.push((watcher(row), Vec::new())),
        }
    }
    let watchers = watchers.into_iter().map(|(mut watcher, processes)| {
        put(&mut watcher, "processes", processes.into());
        Json::Object(watcher)
    });
    let mut object = one("watchers", watchers.collect());
    put(&mut object, "sockets", model.sockets.clone().into());
    put(&mut object, "circus", model.own.as_ref().map_or(Json::Null, process));
    Json::Object(object)
}

fn watcher(row: &Row) -> Map {
    let mut map = used(row);
    put(&mut map, "name", row.subject.watcher.as_str().into());
    put(&mut map, "restarts", row.restarts.into());
    put(&mut map, "fault", row.fault.clone().into());
    map
}

fn process(row: &Row) -> Json {
    let mut map = used(row);
    put(&mut map, "pid", row.subject.pid.into());
    put(&mut map, "wid", row.wid.into());
    Json::Object(map)
}

/// What all rows have: processor time in percent, to a tenth, and memory in bytes.
fn used(row: &Row) -> Map {
    let mut map = one("state", row.state.as_str().into());
    put(&mut map, "uptime", row.uptime.into());
    put(&mut map, "cpu", ((row.cpu * 10.0).round() / 10.0).into());
    put(&mut map, "memory", row.memory.into());
    map
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::look;
    use super::*;
    use serde_json::json as of;

    #[test]
    fn processes_stand_in_their_watchers_and_these_in_the_order_that_was_chosen() {
        let mut model = Model::default();
        model.take(&look(1.0), 100.0);
        model.take(&look(2.0), 101.0);
        let told = json(&model, &Choice { inverted: true, ..Choice::default() });
        let names: Vec<&Json> = told["watchers"].as_array().unwrap().iter().map(|w| &w["name"]).collect();
        assert_eq!(names, ["web", "clock"]);
        let web = &told["watchers"][0];
        assert_eq!((&web["cpu"], &web["memory"], &web["restarts"]), (&of!(150.0), &of!(9 << 20), &of!(3)));
        assert_eq!(web["fault"], "active: 2 of 3 processes running");
        let process =
            of!({"pid": 12, "wid": 2, "state": "running", "uptime": 62.0, "cpu": 50.0, "memory": 5 << 20});
        assert_eq!(web["processes"][0], process);
        assert_eq!((&told["circus"]["pid"], &told["sockets"][0]["name"]), (&of!(1), &of!("b")));
        assert_eq!(told["watchers"][1]["processes"], of!([]));
    }
}

//! Commands that change what watchers are: their options, and whether they are there at all.

use super::orders::{Answered, Wait};
use super::request::{Edit, Errno, Reply};
use super::roster::streams;
use super::waiters::Await;
use super::{Action, Arbiter, Level, Published, WatcherId};
use crate::config::model::{MOST_PROCESSES, MOST_SET, MOST_WATCHERS, Refused, check_name};
use crate::config::options::{Live, WATCHER, find, watcher};
use crate::config::{Value, WatcherConfig};
use std::rc::Rc;

impl Edit {
    /// Whether it could keep circus from ending.
    pub(super) fn starts_something(&self) -> bool {
        match self {
            Edit::Set { .. } | Edit::Add { .. } => true,
            Edit::Rm { .. } => false,
        }
    }
}

impl Arbiter {
    pub(super) fn edit(&mut self, edit: Edit, wait: &dyn Fn(Await) -> Wait) -> Answered {
        match edit {
            Edit::Set { name, options } => self.set(&name, &options, &wait(Await::Settled)),
            Edit::Add { name, cmd, args, options, start } => {
                let id = self.add(name, cmd, args, &options)?;
                if !start {
                    return Ok(Some(Reply::Ok));
                }
                let wait = wait(Await::Up { added: true });
                Ok(self.carry_out(&[id], &wait, &|w, cx| w.want_up(cx)))
            }
            Edit::Rm { name, nostop } => self.rm(&name, nostop, &wait(Await::Removed)),
        }
    }

    fn set(&mut self, name: &str, options: &[(String, Value)], wait: &Wait) -> Answered {
        let watcher = self.named(name)?;
        let id = watcher.id;
        let mut config = WatcherConfig::clone(&watcher.config);
        let mut reload = false;
        for (key, value) in options {
            match set_option(&mut config, key, value)? {
                Live::Fixed => {
                    let text =
                        format!("'{key}' cannot be set while circus runs; change the file and restart");
                    return Err(Reply::error(Errno::Message, text));
                }
                Live::Reload => reload = true,
                Live::Stored | Live::Numprocesses => {}
            }
        }
        consistent(&config)?;
        let added = (watcher.settings.added + config.extent()).saturating_sub(watcher.config.extent());
        self.room_for(added.saturating_sub(watcher.settings.added))?;
        reload |= streams(&config) != streams(&watcher.config);
        self.cx.act(Action::Changed(id));
        options.iter().for_each(|_| self.cx.publish(&config.name, Published::Updated));
        self.dependencies.have_changed(&config);
        if let Some(watcher) = self.watchers.get_mut(&id) {
            let before = std::mem::replace(&mut watcher.config, Rc::new(config));
            if reload {
                watcher.keep_proven(before, self.cx.now);
            }
            watcher.settings.added = added;
        }
        Ok(self.carry_out(&[id], wait, &|w, cx| {
            w.ready_by_options(cx);
            if reload {
                w.renew(cx);
            }
        }))
    }

    fn add(
        &mut self,
        name: String,
        cmd: String,
        args: Option<String>,
        options: &[(String, Value)],
    ) -> Result<WatcherId, Reply> {
        check_name(name.trim())
            .map_err(|why| Reply::error(Errno::Message, format!("the name of the watcher {why}")))?;
        if self.names.contains_key(&name.to_lowercase()) {
            return Err(Reply::error(Errno::Conflict, format!("'{name}' already exist")));
        }
        let mut config = WatcherConfig { name: name.clone(), ..WatcherConfig::default() };
        config.options.cmd = cmd.into();
        config.options.args = args.unwrap_or_default().into();
        for (key, value) in options {
            set_option(&mut config, key, value)?;
        }
        if config.options.cmd.trim().is_empty() {
            return Err(Reply::error(Errno::Message, format!("'{name}' has no command")));
        }
        consistent(&config)?;
        // Those that are still being stopped count too: they may take their time.
        if self.watchers.len() >= MOST_WATCHERS {
            let text = format!("there are already {MOST_WATCHERS} watchers, which is the limit");
            return Err(Reply::error(Errno::Conflict, text));
        }
        let added = config.extent();
        self.room_for(added)?;
        let id = self.admit(config);
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.settings.added = added;
        }
        Ok(id)
    }

    /// Whether so many more bytes may be kept of what commands have set.
    fn room_for(&self, more: usize) -> Result<(), Reply> {
        let all = || self.watchers.values().map(|watcher| watcher.settings.added).sum::<usize>();
        if more == 0 || all() + more <= MOST_SET {
            return Ok(());
        }
        let text = format!(
            "what commands have set may take {MOST_SET} bytes in all; remove watchers, or use the file"
        );
        Err(Reply::error(Errno::Conflict, text))
    }

    fn rm(&mut self, name: &str, nostop: bool, wait: &Wait) -> Answered {
        let watcher = self.named(name)?;
        let (id, name, pids) = (watcher.id, &watcher.config.name, watcher.pids());
        let text = format!("{name}: removed; its processes go on without circus: {pids:?}");
        self.unqueue(id);
        self.leave(id);
        if !nostop {
            return Ok(self.carry_out(&[id], wait, &|w, _| w.want_gone()));
        }
        self.cx.log(Level::Info, text);
        self.forget(id);
        self.advance_startup(); // it may have been its turn
        Ok(Some(Reply::Ok))
    }
}

/// Whether the options of a watcher go together, after all of them have been set.
fn consistent(config: &WatcherConfig) -> Result<(), Reply> {
    let singleton = config.options.singleton && config.options.numprocesses > 1;
    let why = singleton.then_some("Singleton watcher has a single process");
    match why.or(config.contradiction().map(|(_, why)| why)) {
        Some(why) => Err(Reply::error(Errno::Conflict, why)),
        None => Ok(()),
    }
}

fn set_option(config: &mut WatcherConfig, key: &str, value: &Value) -> Result<Live, Reply> {
    let refuse = |text: String| Reply::error(Errno::Message, text);
    let live = config.set(key, value).map_err(|refused| match refused {
        Refused::Unknown => refuse(format!("unknown key '{key}'")),
        Refused::Type(noun) => refuse(format!("'{key}' isn't {noun}")),
        Refused::Bad(text) => refuse(text),
    })?;
    let processes = config.options.numprocesses;
    let bad = match find(WATCHER, key) {
        Some(row) if row.key == watcher::numprocesses => !(0..=MOST_PROCESSES).contains(&processes),
        Some(row) => row.refuses(&row.get(&config.options)),
        None => false,
    };
    if bad { Err(refuse(format!("'{key}' is out of range"))) } else { Ok(live) }
}

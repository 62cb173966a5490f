//! The parts of circus that a build may leave out, by their Cargo features.
#![allow(missing_docs, reason = "what a name says is not said again")]

/// A feature that a build may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name in Cargo.toml.
    pub name: &'static str,
    /// Whether this build has it.
    pub is_built: bool,
}

pub const CGROUP: Feature = Feature { name: "cgroup", is_built: cfg!(feature = "cgroup") };
pub const DEPENDENCIES: Feature = Feature { name: "dependencies", is_built: cfg!(feature = "dependencies") };
pub const DEPLOY: Feature = Feature { name: "deploy", is_built: cfg!(feature = "deploy") };
pub const DETAILS: Feature = Feature { name: "details", is_built: cfg!(feature = "details") };
pub const EDIT: Feature = Feature { name: "edit", is_built: cfg!(feature = "edit") };
pub const HEALTH: Feature = Feature { name: "health", is_built: cfg!(feature = "health") };
pub const HISTORY: Feature = Feature { name: "history", is_built: cfg!(feature = "history") };
pub const HOOKS: Feature = Feature { name: "hooks", is_built: cfg!(feature = "hooks") };
pub const ORPHANS: Feature = Feature { name: "orphans", is_built: cfg!(feature = "orphans") };
pub const LOGS: Feature = Feature { name: "logs", is_built: cfg!(feature = "logs") };
pub const METRICS: Feature = Feature { name: "metrics", is_built: cfg!(feature = "metrics") };
pub const ON_DEMAND: Feature = Feature { name: "on_demand", is_built: cfg!(feature = "on_demand") };
pub const PLUGINS: Feature = Feature { name: "plugins", is_built: cfg!(feature = "plugins") };
pub const REGEX: Feature = Feature { name: "regex", is_built: cfg!(feature = "regex") };
pub const RELOADCONFIG: Feature = Feature { name: "reloadconfig", is_built: cfg!(feature = "reloadconfig") };
pub const SANDBOX: Feature = Feature { name: "sandbox", is_built: cfg!(feature = "sandbox") };
pub const STATS: Feature = Feature { name: "stats", is_built: cfg!(feature = "stats") };
pub const TAIL: Feature = Feature { name: "tail", is_built: cfg!(feature = "tail") };
pub const TREE: Feature = Feature { name: "tree", is_built: cfg!(feature = "tree") };

/// Why what needs this feature cannot be had, if this build lacks it: the end of a sentence.
pub fn lack(feature: Option<Feature>) -> Option<String> {
    let Feature { name, .. } = feature.filter(|feature| !feature.is_built)?;
    Some(format!("is not possible: this build of circus lacks the feature `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_lacks_is_named() {
        let feature = Feature { name: "wings", is_built: false };
        let why = "is not possible: this build of circus lacks the feature `wings`";
        assert_eq!(lack(Some(feature)).as_deref(), Some(why));
        assert_eq!(lack(Some(Feature { is_built: true, ..feature })), None);
        assert_eq!(lack(None), None);
    }
}

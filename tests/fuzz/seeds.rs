//! What inputs are made of: the configurations of tests and examples, the texts within the source and the tests,
//! and the words that mean something to circus.

use circus::config::options;
use circus::control::commands;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Files longer than this are no examples.
const LONGEST: usize = 32 << 10;

/// Words besides the names of options and commands.
const WORDS: &str = "$(circus.env. ((circus. $(circus.sockets. $(circus.wid) )) ) $( $PATH $ [watcher: [socket: \
    [plugin: [env] [env: [circus] [DEFAULT] ] = : ; # rem \" ' \\ % include include_dir *.ini */* ? [a-z] [! \
    (?P<pid> (?: )* )+ {1,3} {0,300} | ^ \\d \\S \\x7f [^ []] \\b .* True false None null {\" \": [[ }} ] 0 -1 1.5 \
    SIGTERM RTMIN+3 infinity /dev/null ipc:// tcp://127.0.0.1:5555 @ %Y-%m-%d %c% {\"command\":\"set\", \
    \"properties\":{ \"name\": \"w\" \"options\": \"id\":1 \"waiting\":true \"msg_type\":\"cast\" \"nb\": \"pid\": \
    \"signum\": \\ud800 \\u0000 \u{e9} \u{10f8ff} \u{130} \u{feff}";

/// The examples, and the words.
pub struct Examples {
    /// Whole configurations.
    pub configurations: Vec<Vec<u8>>,
    /// Short texts of all kinds.
    pub texts: Vec<Vec<u8>>,
    /// Words.
    pub words: Vec<String>,
}

impl Examples {
    /// Reads what there is, and what is below `corpus`.
    pub fn read(corpus: Option<&Path>) -> Examples {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = Found::default();
        for dir in ["src", "tests", "examples"] {
            found.below(&root.join(dir));
        }
        assert!(found.configurations.len() > 20 && found.texts.len() > 500, "the source has no examples");
        if let Some(corpus) = corpus {
            let before = found.configurations.len();
            found.below(corpus);
            assert!(
                found.configurations.len() > before,
                "there are no .ini files below {}",
                corpus.display()
            );
        }
        Examples {
            configurations: found.configurations.into_iter().collect(),
            texts: found.texts.into_iter().collect(),
            words: words(),
        }
    }
}

/// Sets, so that the order is the same on every machine.
#[derive(Default)]
struct Found {
    configurations: BTreeSet<Vec<u8>>,
    texts: BTreeSet<Vec<u8>>,
}

impl Found {
    fn below(&mut self, dir: &Path) {
        for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
            let path = entry.expect("an entry of a directory").path();
            if path.is_dir() {
                self.below(&path);
                continue;
            }
            let bytes = fs::read(&path).unwrap_or_default();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("ini") if bytes.len() <= LONGEST => drop(self.configurations.insert(bytes)),
                Some("rs") => literals(&String::from_utf8_lossy(&bytes)).for_each(|text| self.add(text)),
                _ => {}
            }
        }
    }

    fn add(&mut self, text: String) {
        if text.starts_with('[') && text.contains('\n') {
            self.configurations.insert(text.into_bytes());
        } else if text.len() <= 200 {
            self.texts.insert(text.into_bytes());
        }
    }
}

/// The texts between quotation marks, about as the compiler reads them: examples need not be exact.
fn literals(source: &str) -> impl Iterator<Item = String> {
    let escaped = source.replace("\\\"", "\u{1}");
    let literals: Vec<String> = escaped.split('"').skip(1).step_by(2).map(unescape).collect();
    literals.into_iter().filter(|text| !text.is_empty())
}

fn unescape(literal: &str) -> String {
    let lines: Vec<&str> = literal.lines().map(str::trim_start).collect();
    lines.join("\n").replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\").replace('\u{1}', "\"")
}

fn words() -> Vec<String> {
    let mut words: Vec<String> =
        WORDS.split(' ').filter(|word| !word.is_empty()).map(str::to_string).collect();
    let keys = options::CIRCUS.iter().map(|row| row.key).chain(options::WATCHER.iter().map(|row| row.key));
    let keys = keys.chain(options::SOCKET.iter().map(|row| row.key));
    let keys = keys.chain(options::STREAM.iter().map(|row| row.key));
    let families = circus::config::families::FAMILIES.iter().map(|family| family.prefix);
    words.extend(keys.chain(families).flat_map(|key| [key.to_string(), format!("\n{key} = ")]));
    words.extend(commands::COMMANDS.iter().map(|command| command.name.to_string()));
    words.extend([" ".into(), "\n".into(), "\n ".into()]);
    words
}

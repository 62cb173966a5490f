//! The dialect, rule by rule.

use super::*;

fn read(bytes: &[u8]) -> Document {
    super::read(&"x".into(), bytes)
}

/// `section|key|value|line` of every option, a newline in a value shown as `/`.
fn options(text: &str) -> Vec<String> {
    let document = read(text.as_bytes());
    let fatal = document.findings.iter().find(|n| n.severity == Severity::Fatal);
    assert_eq!(fatal, None, "{text:?}");
    let show = |s: &Section, o: &Entry| {
        format!("{}|{}|{}|{}", s.name, o.key, o.value.replace('\n', "/"), o.origin.line)
    };
    document.sections.iter().flat_map(|s| s.options.iter().map(move |o| show(s, o))).collect()
}

fn fatal_lines(text: &str) -> Vec<u32> {
    let notes = read(text.as_bytes()).findings;
    notes.iter().filter(|n| n.severity == Severity::Fatal).map(|n| n.origin.line).collect()
}

fn warning_lines(text: &str) -> Vec<u32> {
    let notes = read(text.as_bytes()).findings;
    notes.iter().filter(|n| n.severity == Severity::Warning).map(|n| n.origin.line).collect()
}

#[test]
fn what_circus_reads_is_read_the_same() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("\n \n# x\n; x\nrem x\nREM\n", &[]),
        ("[a]\nk = v\nk2=v2\nk3:v3\nk4 : a=b:c", &["a|k|v|2", "a|k2|v2|3", "a|k3|v3|4", "a|k4|a=b:c|5"]),
        ("[a]\r\nk = v\r\n w\r\n", &["a|k|v/w|2"]),
        ("[a]\rk = v\r w\rl = x", &["a|k|v/w|2", "a|l|x|4"]),
        ("[a]\nk = one\n\n  two\n# no\n\tthree  \nl = x", &["a|k|one/two/three|2", "a|l|x|7"]),
        ("[a]\nk =\n one\n two", &["a|k|/one/two|2"]),
        ("[a]\nk = one\n # two\n ; three\n [four]", &["a|k|one/# two/; three/[four]|2"]),
        ("[a]\nk = one\n two ; three", &["a|k|one/two ; three|2"]),
        ("[a] junk\nk = v", &["a|k|v|2"]),
        ("[a] ; see [b] x\nk = v", &["a] ; see [b|k|v|2"]),
        ("[ a ]\nk = v", &[" a |k|v|2"]),
        ("[a]\n  k = v\n l = w", &["a|  k|v/l = w|2"]),
        ("[a]\n= b\n c = d", &["a||b|2", "a| c|d|3"]),
        ("[a]\nk = a;b ; c", &["a|k|a;b ; c|2"]),
        ("[a]\nk = a ; b\nl = a\t; b", &["a|k|a|2", "a|l|a|3"]),
        ("[a]\nk = a # b\nl = a;b", &["a|k|a # b|2", "a|l|a;b|3"]),
        ("[a]\nk = ;foo", &["a|k|;foo|2"]),
        ("[a]\nk = \"\"\nl = \"a\"\nm = '", &["a|k||2", "a|l|\"a\"|3", "a|m|'|4"]),
        ("[a]\nk = \"\"\n b", &["a|k|/b|2"]),
        ("[a]\nK = 1\nk = 2", &["a|K|1|2", "a|k|2|3"]),
        ("[a]\nrem = 1\nremo = 2\nrem=3", &["a|remo|2|3", "a|rem|3|4"]),
        ("[a]\nk = 1\nk = 2\n[b]\nk = 3\n[a]\nk = 4", &["a|k|1|2", "a|k|2|3", "b|k|3|5", "a|k|4|7"]),
        ("[a]\nk = %d $(x) ((y)) \\n", &["a|k|%d $(x) ((y)) \\n|2"]),
        ("[a]\n[ = v\n[] = w", &["a|[|v|2", "a|[]|w|3"]),
        ("[a]\nk = h\u{e9}\u{2028}x\u{a0}", &["a|k|h\u{e9}\u{2028}x|2"]),
        ("\u{feff}[a]\nk = v", &["a|k|v|2"]),
        ("[a]\nk = x\u{1}y\u{0}", &["a|k|x\u{1}y\u{0}|2"]),
        ("[a|1|]\n1|k|= v", &["a|1||1|k||v|2"]),
    ];
    for (text, wanted) in cases {
        assert_eq!(options(text), *wanted, "{text:?}");
    }
}

#[test]
fn sections_are_kept_in_order_and_may_be_empty() {
    let document = read(b"[z]\n[a]\n[z]\n");
    let names: Vec<_> = document.sections.iter().map(|s| (s.name.as_str(), s.origin.line)).collect();
    assert_eq!(names, [("z", 1), ("a", 2), ("z", 3)]);
}

#[test]
fn every_bad_line_is_reported() {
    assert_eq!(fatal_lines("k = v\nmore\n[a]\nword\nk = v\n[b\nother"), [1, 2, 4, 6, 7]);
    assert_eq!(fatal_lines("[a]\nword\n indented"), [2, 3]);
    assert_eq!(fatal_lines("[a]\nk = v\n continued\nword"), [4]);
    assert_eq!(fatal_lines(" [a]\nk = v"), [1, 2]);
    assert_eq!(fatal_lines("[]"), [1]);
    assert_eq!(fatal_lines("[a]\n[]"), [2]);
}

#[test]
fn what_is_hardly_meant_is_noted() {
    for text in ["[a]\n k = v", "[a]\nk = ; x", "[a]\nk = a\u{7}", "\n[a] [b]"] {
        assert_eq!(warning_lines(text), [2], "{text:?}");
    }
    assert_eq!(warning_lines("[a]\nk = v\n # x\n [b]\n more"), [3, 4]);
    assert_eq!(warning_lines("[a]\nk = v ; x\n# c\nl = a\tb"), [0; 0]);
    for cut in
        ["k = sh -c 'a ; b'", "k = \"a ; b\" c", "cmd = a ; /b/c", "cmd = a x ; a y", "cmd = a ; python b.py"]
    {
        let notes = read(format!("[a]\n{cut}").as_bytes()).findings;
        assert!(notes.len() == 1 && notes[0].message.contains("is cut off: to run"), "{cut}: {notes:?}");
    }
    for comment in
        ["cmd = a ; it does a/b:c", "cmd = a ;", "k = a ; /b/c", "cmd = a ; don't", "k = it's ; that"]
    {
        assert_eq!(warning_lines(&format!("[a]\n{comment}")), [0; 0], "{comment}");
    }
    let continued = read(b"[a]\nk = v\n l = w\n more").continued;
    assert_eq!(continued, [(Origin { file: "x".into(), line: 3 }, "l = w".to_string())]);
}

#[test]
fn bytes_that_are_no_utf8_are_kept() {
    let document = read(b"[a]\nk = \xff\xc3\xa9\xf4\x8f\xa0\xbb ; x");
    let value = &document.sections[0].options[0].value;
    assert_eq!(&*text::to_bytes(value), b"\xff\xc3\xa9\xf4\x8f\xa0\xbb");
}

#[test]
fn files_of_another_kind_are_refused_with_one_note() {
    for bytes in [&b"\xff\xfe[\0a\0]\0"[..], &vec![b'x'; LONGEST + 1]] {
        let document = read(bytes);
        assert_eq!(document.findings.len(), 1);
        let finding = &document.findings[0];
        assert_eq!((finding.origin.line, finding.severity), (0, Severity::Fatal));
    }
    assert_eq!(fatal_lines(&"[a]\n".repeat(100_010)), [100_001]);
}

#[test]
fn every_line_above_the_first_section_is_reported() {
    assert_eq!(fatal_lines("a\n\n# b\nc = d\n[e\n[f]\ng = h\ni"), [1, 4, 5, 8]);
}

#[test]
fn the_list_of_what_is_wrong_has_an_end() {
    let warnings = "k = ;x\n".repeat(5000);
    let notes = read(format!("[a]\n{warnings}").as_bytes()).findings;
    assert_eq!((notes.len(), notes[MOST_NOTES].severity), (MOST_NOTES + 1, Severity::Warning));
    let notes = read(format!("[a]\n{warnings}word\nword").as_bytes()).findings;
    let last = &notes[MOST_NOTES];
    assert_eq!((notes.len(), last.origin.line, last.severity), (MOST_NOTES + 1, 5002, Severity::Fatal));
}

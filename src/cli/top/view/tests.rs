//! Screens of several sizes, line by line.

use super::super::model::tests::look;
use super::*;

fn model() -> Model {
    let mut model = Model::default();
    model.take(&look(1.0), 100.0);
    model.take(&look(2.0), 101.0);
    model
}

fn text(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|(_, line)| line.trim_end()).collect()
}

#[test]
fn a_screen_of_80_columns_has_everything() {
    let mut screen = Screen::default();
    let lines = screen.draw(&model(), (24, 80));
    assert!(lines.len() == 24 && lines.iter().all(|(_, line)| line.chars().count() == 80));
    let shown = text(&lines);
    assert_eq!(shown[0], "circus 1  up 1m02s  cpu 0.0%  memory 1.0M");
    assert_eq!(shown[1], "2 processes of 2 watchers  1 failing  sorted by name");
    assert_eq!(shown[2], "WATCHER*                            STATE      UPTIME  RESTARTS    CPU%   MEMORY");
    assert_eq!(shown[3], "clock                               stopped         -         0       -        -");
    assert_eq!(shown[4], "web                                !active      1m07s         3   150.0     9.0M");
    assert_eq!(shown[5], "  1 pid 11                          running     1m02s             100.0     4.0M");
    assert_eq!(shown[18], "SOCKET         ADDRESS                                 WAITING  BACKLOG    DROPS");
    assert_eq!(shown[19], "b              /run/b                                        7      128        -");
    assert_eq!(shown[21..23], ["", ""], "nothing is wrong with what is selected");
    assert_eq!(shown[23], "q quit  ? help  Enter output  w why  / filter  r restart  s stop  a start");
    let styles: Vec<Style> = lines.iter().map(|(style, _)| *style).collect();
    let (selected, bad) = (Style { selected: true, ..PLAIN }, Style { bad: true, ..PLAIN });
    assert_eq!(styles[2..5], [HEADING, selected, bad]);
}

#[test]
fn a_wide_screen_says_what_is_wrong_and_a_tiny_one_harms_nobody() {
    let mut screen = Screen::default();
    let lines = screen.draw(&model(), (30, 140));
    let shown = text(&lines);
    assert!(shown[4].ends_with("9.0M  2 of 3 processes running"), "{}", shown[4]);
    assert_eq!(shown[24].len(), shown[2].len(), "sockets end where watchers do");
    assert!(shown[29].ends_with("i invert  x fold"));
    let mut many = model();
    many.sockets = vec![many.sockets[0].clone(); 9];
    assert!(text(&screen.draw(&many, (16, 80)))[8].starts_with("SOCKET 4 of 9  ADDRESS"));
    for size in [(0, 0), (1, 1), (2, 5), (3, 200), (5, 30)] {
        let lines = screen.draw(&model(), size);
        assert!(lines.len() <= size.0.max(1), "{size:?}");
    }
}

#[test]
fn a_narrow_screen_leaves_out_whole_columns_and_keys() {
    let mut screen =
        Screen { choice: Choice { filter: "e".into(), ..Choice::default() }, ..Screen::default() };
    screen.reason = ("web".into(), "Problem: 2 of 3 processes running; one exited".into());
    let lines = screen.draw(&model(), (10, 40));
    assert_eq!(
        text(&lines),
        [
            "circus 1  up 1m02s  cpu 0.0%",
            "2 processes of 2 watchers  1 failing",
            "WATCHER*       STATE       CPU%   MEMORY",
            "web           !active     150.0     9.0M",
            "  1 pid 11     running    100.0     4.0M",
            "  2 pid 12     running     50.0     5.0M",
            "",
            "",
            "Problem: 2 of 3 processes running; one e",
            "q quit  ? help  Enter output  w why",
        ]
    );
    let lines = screen.draw(&model(), (24, 50));
    assert_eq!(text(&lines)[2], "WATCHER*        STATE      UPTIME    CPU%   MEMORY");
    assert_eq!(text(&lines)[21..23], ["Problem: 2 of 3 processes running; one exited", ""]);
}

#[test]
fn what_is_wrong_with_the_selected_watcher_is_said_before_why_has_answered() {
    let mut screen = Screen::default();
    screen.draw(&model(), (24, 80));
    screen.go(&model(), 2);
    let lines = screen.draw(&model(), (24, 80));
    assert_eq!(text(&lines)[21], "2 of 3 processes running", "a process stands for its watcher");
}

#[test]
fn the_selection_moves_stays_in_sight_and_follows_its_row() {
    let model = model();
    let mut screen = Screen::default();
    screen.draw(&model, (24, 80));
    screen.go(&model, 2);
    assert_eq!(screen.selected, Some(Subject { watcher: "web".into(), pid: Some(11) }));
    screen.choice.key = Key::Cpu;
    let lines = screen.draw(&model, (7, 80));
    let selected = lines.iter().find(|(style, _)| style.selected).unwrap();
    assert!(selected.1.contains("pid 11"), "{lines:?}");
    screen.go(&model, 100);
    assert_eq!(screen.selected.as_ref().unwrap().watcher, "clock");
    screen.go(&model, -100);
    assert_eq!(screen.selected.as_ref().unwrap().pid, None);
    screen.selected = Some(Subject { watcher: "web".into(), pid: Some(99) });
    screen.draw(&model, (24, 80));
    assert_eq!(screen.selected, Some(Subject { watcher: "web".into(), pid: None }), "its process has gone");
    screen.choice.filter = "nothing".into();
    screen.draw(&model, (24, 80));
    assert_eq!(screen.selected, None);
}

#[test]
fn without_a_screen_all_rows_are_there() {
    let text = once(&model(), &Choice::default());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 9);
    assert_eq!(
        lines[3],
        "web            active      1m07s         3   150.0     9.0M  2 of 3 processes running"
    );
}

#[test]
fn a_text_is_cut_and_filled_by_the_width_of_its_characters() {
    assert_eq!(fit("abc", 5), "abc  ");
    assert_eq!(fit("abcdef", 5), "abcde");
    assert_eq!(fit("\u{4f60}\u{597d}x", 4), "\u{4f60}\u{597d}");
    assert_eq!(fit("\u{4f60}\u{597d}x", 3), "\u{4f60} ");
}

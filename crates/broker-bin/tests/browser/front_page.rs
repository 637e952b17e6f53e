//! The project's front page, as somebody new follows it: what it says is typed, and what it promises is seen.

use std::process::Command;

use test_servers::Folder;

use crate::page::Page;
use crate::process::Process;

const FRONT_PAGE: &str = include_str!("../../../../README.md");

/// A command line of the front page, at ports that are free. Its other words are those of the page.
fn typed(line: &str) -> Command {
    let is_there = FRONT_PAGE.lines().any(|it| it == format!("$ {line}"));
    assert!(is_there, "the front page does not say `{line}`");
    let mut words = line.split_ascii_whitespace();
    assert_eq!(words.next(), Some("mosca"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    command.args(words.map(|word| if word == "3000" { "0" } else { word }));
    command
}

/// The page that is to be saved.
fn html() -> &'static str {
    let (_, rest) = FRONT_PAGE.split_once("```html\n").unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn who_follows_the_front_page_sees_a_publication_in_a_browser() {
    let folder = Folder::new("front-page");
    let site = folder.path().join("site");
    std::fs::create_dir(&site).unwrap();
    std::fs::write(site.join("index.html"), html()).unwrap();

    let mut mosca = typed("mosca --http-port 3000 --http-static site --http-bundle");
    let mosca = mosca.args(["-p", "0", "--host", "127.0.0.1"]);
    let mut mosca = Process::start("mosca", mosca.current_dir(folder.path()));
    let (mqtt, http) = (mosca.port("mqtt"), mosca.port("http"));
    let mut page = Page::watch(&format!("http://127.0.0.1:{http}/"));
    page.wait_until_it_shows("waiting for presence");

    let mut publish = typed("mosca pub -t presence -m hello");
    publish.args(["-H", "127.0.0.1", "-p", &mqtt.to_string()]);
    Process::start("mosca pub", &mut publish).succeed();
    page.wait_until_it_shows("presence: hello");
    page.leave();
}

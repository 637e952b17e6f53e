//! A page in Chromium, opened by `tests/clients/chromium_page.js`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use test_servers::Folder;

use crate::process::{Line, Process, Signal};
use crate::site::Site;

/// A name under which Chromium finds the site at the port that is usual for its scheme.
pub const NAME: &str = "mosca.test";

/// An open page. Each has a Chromium of its own, with a profile that nobody had before.
pub struct Page {
    process: Process,
    // Goes after the process that writes to it.
    _profile: Folder,
}

impl Page {
    /// Opens the start page of the site.
    pub fn open(site: &Site, query: &str) -> Self {
        Self::open_url(site, &format!("{}/?{query}", site.url()))
    }

    /// Opens a page of the site by another name.
    pub fn open_url(site: &Site, url: &str) -> Self {
        Self::start(site, url, site.certificate())
    }

    /// What Chromium says if it has not been told of the certificate of the site.
    pub fn refused(site: &Site) -> String {
        let mut page = Self::start(site, &site.url(), None);
        let (status, _) = page.process.finish();
        assert!(!status.success(), "{}", page.process.transcript());
        page.process.transcript()
    }

    /// Opens a page that says itself nothing of what it does: each event is what it shows.
    pub fn watch(url: &str) -> Self {
        Self::open_with(url, |command| {
            command.arg("--watch");
        })
    }

    /// Waits until a page that is watched shows these words.
    pub fn wait_until_it_shows(&mut self, words: &str) {
        loop {
            let event = self.event();
            assert_eq!(event["event"], "shows", "{event}");
            if event["text"].as_str().unwrap().contains(words) {
                return;
            }
        }
    }

    fn start(site: &Site, url: &str, trusted: Option<&Path>) -> Self {
        let rule = format!("{NAME}:{} 127.0.0.1:{}", site.usual_port(), site.port);
        Self::open_with(url, |command| {
            command.args(["--map", &rule]);
            if let Some(certificate) = trusted {
                command.arg("--trust").arg(certificate);
            }
        })
    }

    /// Opens a page with more options of the program that does it.
    fn open_with(url: &str, options: impl FnOnce(&mut Command)) -> Self {
        let profile = Folder::new("chromium");
        let sources = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
        let mut command = Command::new("node");
        command.arg(sources.join("tests/clients/chromium_page.js"));
        // A path in place of the name is for those who have another one.
        let chromium = std::env::var_os("MOSCA_TEST_CHROMIUM").unwrap_or("chromium".into());
        command.arg("--chromium").arg(chromium);
        command.arg("--profile").arg(profile.path());
        command.args(["--url", url]);
        options(&mut command);
        Self {
            process: Process::start(&format!("Chromium at {url}"), &mut command),
            _profile: profile,
        }
    }

    /// What happens next in the page. An exception that nobody catches there ends the test.
    pub fn event(&mut self) -> Value {
        let event = self.process.wait_for("event", |line| match line {
            Line::Out(line) => Some(serde_json::from_str(line)),
            Line::Err(line) if line.starts_with("Uncaught") => Some(Ok(json!(line))),
            Line::Err(_) => None,
        });
        event.unwrap()
    }

    /// Waits for the page to be done, and leaves it.
    pub fn close(mut self) {
        assert_eq!(self.event(), json!({ "event": "done" }));
        self.leave();
    }

    /// Leaves it as it is.
    pub fn leave(mut self) {
        self.process.signal(Signal::Terminate);
        self.process.succeed();
    }
}

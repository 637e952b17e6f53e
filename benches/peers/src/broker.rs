//! A broker under measurement: started afresh in a folder of its own, awaited, ended whole.

use std::fs::{File, create_dir_all, read_to_string, remove_dir_all, set_permissions, write};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::options::Named;
use crate::process;
use crate::services::Services;

/// How long a broker may take until it answers.
const START: Duration = Duration::from_secs(20);
/// How the error begins when it does not; it is not tried again then.
pub const SILENT: &str = "does not answer";
/// How long it may take to end when asked to.
const END: Duration = Duration::from_secs(5);
/// Between its first answer and the load, so that what it does at its start is over.
const SETTLE: Duration = Duration::from_millis(300);

/// How to start a broker.
#[derive(Debug, Clone)]
pub struct Broker {
    /// What the page calls it.
    pub name: String,
    /// The words of its command, with placeholders.
    words: Vec<String>,
    /// The texts of its `{conf:FILE}`.
    configurations: Vec<Configuration>,
}

#[derive(Debug, Clone)]
struct Configuration {
    placeholder: String,
    file_name: String,
    text: String,
}

/// What mosquitto needs to be told to be comparable: no file, no log, no limit on queues.
const MOSQUITTO: &str = "\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest none
log_type none
max_queued_messages 0
max_inflight_messages 1000
set_tcp_nodelay true
";

impl Broker {
    /// `mosca` itself.
    pub fn mosca(program: &Path) -> Self {
        Self::mosca_as("mosca", program, &[])
    }

    /// `mosca` with more options than its port.
    pub fn mosca_as(name: &str, program: &Path, options: &[&str]) -> Self {
        let program = program.to_string_lossy();
        let words = [&*program, "--host", "127.0.0.1", "--port", "{port}"];
        let words = words.iter().chain(options);
        Self {
            name: name.to_owned(),
            words: words.map(|&word| word.to_owned()).collect(),
            configurations: Vec::new(),
        }
    }

    /// The mosquitto of this machine, with a configuration of ours.
    pub fn mosquitto(program: &Path) -> Self {
        Self::mosquitto_as("mosquitto", program, MOSQUITTO)
    }

    /// The same with another one.
    pub fn mosquitto_as(name: &str, program: &Path, configuration: &str) -> Self {
        let program = program.to_string_lossy();
        let words = [&*program, "-c", "{conf:mosquitto.conf}"];
        Self {
            name: name.to_owned(),
            words: words.map(str::to_owned).to_vec(),
            configurations: vec![Configuration {
                placeholder: "{conf:mosquitto.conf}".to_owned(),
                file_name: "mosquitto.conf".to_owned(),
                text: configuration.to_owned(),
            }],
        }
    }

    /// One from the command line; reads its configuration files.
    pub fn named(peer: &Named) -> Result<Self> {
        let mut configurations = Vec::new();
        for word in &peer.words {
            let mut rest = word.as_str();
            while let Some(start) = rest.find("{conf:") {
                let tail = &rest[start..];
                let end = tail
                    .find('}')
                    .with_context(|| format!("no `}}` in `{word}`"))?;
                let file = Path::new(&tail["{conf:".len()..end]);
                let file_name = file
                    .file_name()
                    .with_context(|| format!("`{word}` names no file"))?;
                configurations.push(Configuration {
                    placeholder: tail[..=end].to_owned(),
                    file_name: file_name.to_string_lossy().into_owned(),
                    text: read_to_string(file)
                        .with_context(|| format!("cannot read {}", file.display()))?,
                });
                rest = &tail[end..];
            }
        }
        let mut words = peer.words.clone();
        if let Some(program) = words.first_mut() {
            // It will be started in another folder.
            if program.contains('/') && Path::new(program).is_relative() {
                let absolute = std::path::absolute(&*program)?;
                *program = absolute.to_string_lossy().into_owned();
            }
        }
        Ok(Self {
            name: peer.name.clone(),
            words,
            configurations,
        })
    }

    /// The command as it would be typed.
    pub fn command(&self) -> String {
        let quoted: Vec<String> = self
            .words
            .iter()
            .map(|word| {
                if word.is_empty()
                    || word.contains(|c: char| c.is_whitespace() || "\"'".contains(c))
                {
                    format!("'{word}'")
                } else {
                    word.clone()
                }
            })
            .collect();
        quoted.join(" ")
    }

    /// The texts of its configuration files, one after the other.
    pub fn configuration(&self) -> Option<String> {
        let texts: Vec<&str> = self
            .configurations
            .iter()
            .map(|c| c.text.as_str())
            .collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    }

    /// Its program, for asking it for its version.
    pub fn program(&self) -> Option<&str> {
        self.words.first().map(String::as_str)
    }

    /// Starts it and waits until it answers.
    pub fn start(&self) -> Result<Running> {
        let services = Services::start(&self.words);
        let port = free_port()?;
        let folder = Folder::create(port)?;
        let mut words = self.fill(port, &folder.path)?;
        for word in &mut words {
            *word = services.fill(word);
        }
        let log = folder.path.join("output.log");
        let child = spawn(&words, &folder.path, &log)?;
        let mut running = Running {
            measured: child.id(),
            child,
            port,
            words,
            folder,
            log,
            services,
        };
        running.await_answer(START, Duration::from_secs(2))?;
        std::thread::sleep(SETTLE);
        running.find_measured();
        Ok(running)
    }

    fn fill(&self, port: u16, folder: &Path) -> Result<Vec<String>> {
        let fill = |text: &str| {
            text.replace("{port}", &port.to_string())
                .replace("{dir}", &folder.to_string_lossy())
        };
        let mut words = self.words.clone();
        for configuration in &self.configurations {
            let file = folder.join(&configuration.file_name);
            write(&file, fill(&configuration.text))?;
            // A broker may give up its rights before it reads.
            set_permissions(&file, PermissionsExt::from_mode(0o644))?;
            for word in &mut words {
                *word = word.replace(&configuration.placeholder, &file.to_string_lossy());
            }
        }
        Ok(words.iter().map(|word| fill(word)).collect())
    }
}

fn spawn(words: &[String], folder: &Path, log: &Path) -> Result<Child> {
    let (program, arguments) = words.split_first().context("an empty command")?;
    let output = File::options().create(true).append(true).open(log)?;
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("cannot run {program}"))
}

/// A broker that answers; dropping it ends it with all that it has started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// The process whose figures count; its descendants are added.
    pub measured: u32,
    /// Where it listens.
    pub port: u16,
    /// Its command.
    words: Vec<String>,
    folder: Folder,
    log: PathBuf,
    /// Last, so that they end behind it.
    services: Services,
}

impl Running {
    /// The processes that were started, the broker's first; the measured one may be a descendant of it.
    pub fn processes(&self) -> Vec<u32> {
        let broker = std::iter::once(self.child.id());
        broker.chain(self.services.processes()).collect()
    }

    /// The processes of the servers that it stands on.
    pub fn servers(&self) -> Vec<u32> {
        self.services.processes().collect()
    }

    /// Ends the broker as its operator would, starts it again with what it has kept, and returns how
    /// long it took from that start to its first CONNACK. `limit` holds for the end and for the start.
    pub fn restart(&mut self, limit: Duration) -> Result<Duration> {
        self.end(limit);
        let began = Instant::now();
        self.child = spawn(&self.words, &self.folder.path, &self.log)?;
        self.measured = self.child.id();
        self.await_answer(limit, limit)?;
        let taken = began.elapsed();
        self.find_measured();
        Ok(taken)
    }

    /// Waits for a CONNACK; a connection that is made waits for `patience`.
    fn await_answer(&mut self, limit: Duration, patience: Duration) -> Result<()> {
        let began = Instant::now();
        while try_connect(self.port, patience).is_err() {
            let refusal = if let Some(status) = self.child.try_wait()? {
                format!("ended at once ({status})")
            } else if began.elapsed() > limit {
                SILENT.to_owned()
            } else {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            };
            bail!("{refusal}{}", self.last_words());
        }
        Ok(())
    }

    /// A wrapper (`env`, a shell) would only add its own memory to the broker's.
    fn find_measured(&mut self) {
        let family = process::family(self.child.id());
        if let [listener] = process::listeners(&family, self.port)[..] {
            self.measured = listener.id;
        }
    }

    fn end(&mut self, patience: Duration) {
        let family = process::family(self.child.id());
        process::end(&family, patience, || {
            let _ = self.child.try_wait();
        });
        let _ = self.child.wait();
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(format!("the broker ended ({status}){}", self.last_words()))
    }

    /// A folder for what belongs to this run.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().rev().find(|line| !line.trim().is_empty());
        line.map_or_else(String::new, |line| {
            let line: String = line.trim().chars().take(200).collect();
            format!(": {line}")
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(END);
    }
}

/// A folder that is gone when it is dropped.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn create(port: u16) -> Result<Self> {
        let name = format!("mosca-peers-{}-{port}", std::process::id());
        let path = std::env::temp_dir().join(name);
        create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        // A broker may give up its rights before it writes.
        set_permissions(&path, PermissionsExt::from_mode(0o777))?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = remove_dir_all(&self.path);
    }
}

/// A port below those that the system gives to outgoing connections, of which a run has many: none
/// of them can take it between our look and the start of the broker. Each call returns another one,
/// since connections of the last run may linger.
fn free_port() -> Result<u16> {
    const FIRST: u16 = 18_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % u32::from(COUNT))?;
    for _ in 0..COUNT {
        let offset = u32::from(own) + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from(offset % u32::from(COUNT))?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free");
}

/// Whether a broker takes a client. Some listen before they are ready, so a connection is not enough.
fn try_connect(port: u16, patience: Duration) -> Result<()> {
    const CONNECT: &[u8] = b"\x10\x11\0\x04MQTT\x04\x02\0\x3c\0\x05ready";
    const DISCONNECT: &[u8] = b"\xe0\0";
    const CONNACK: u8 = 0x20;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(CONNECT)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    stream.write_all(DISCONNECT)?;
    let [kind, _, _, code] = answer;
    ensure!(kind == CONNACK && code == 0, "refused");
    Ok(())
}

/// A program on the PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian puts servers where the PATH of a user does not lead.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(command: &str) -> Broker {
        Broker::named(&format!("x={command}").parse().unwrap()).unwrap()
    }

    #[test]
    fn placeholders_are_filled_in_words_and_files() {
        let folder = Folder::create(1).unwrap();
        let conf = folder.path.join("given.conf");
        write(&conf, "port {port} dir {dir}\n").unwrap();
        let command = format!("b -p {{port}} -c {{conf:{}}} --dir={{dir}}", conf.display());
        let broker = broker(&command);
        assert_eq!(broker.command(), command);
        let to = folder.path.join("to");
        create_dir_all(&to).unwrap();
        let words = broker.fill(1234, &to).unwrap();
        let to = to.to_string_lossy();
        assert_eq!(
            words,
            [
                "b",
                "-p",
                "1234",
                "-c",
                &format!("{to}/given.conf"),
                &format!("--dir={to}")
            ]
        );
        let text = read_to_string(format!("{to}/given.conf")).unwrap();
        assert_eq!(text, format!("port 1234 dir {to}\n"));
    }

    #[test]
    fn a_missing_configuration_is_found_before_anything_runs() {
        let named = "x=b -c {conf:no-such-file-here}".parse().unwrap();
        assert!(Broker::named(&named).is_err());
        let named = "x=b -c {conf:open".parse().unwrap();
        assert!(Broker::named(&named).is_err());
    }

    #[test]
    fn a_command_is_shown_as_it_was_typed() {
        assert_eq!(
            broker("sh -c 'exec a b' ''").command(),
            "sh -c 'exec a b' ''"
        );
    }

    #[test]
    fn a_program_is_found_from_any_folder() {
        let here = std::env::current_dir().unwrap();
        let expected = format!("{}/sub/b -x", here.display());
        assert_eq!(broker("sub/b -x").command(), expected);
        assert_eq!(broker("b -x").command(), "b -x");
    }

    #[test]
    fn a_broker_that_ends_at_once_is_reported_with_its_last_words() {
        let error = broker("sh -c 'echo no such option >&2; exit 2'")
            .start()
            .unwrap_err();
        let error = error.to_string();
        assert!(error.contains("ended at once"), "{error}");
        assert!(error.ends_with("no such option"), "{error}");
    }

    #[test]
    fn ports_differ_from_start_to_start() {
        assert_ne!(free_port().unwrap(), free_port().unwrap());
    }
}

//! Puts together what the command serves as `/mqtt.js`: the browser build of MQTT.js behind its license,
//! if `cargo xtask bundle` has fetched it; otherwise nothing, and the command says so where it is asked for
//! it. Whatever is there was held against `bundle/SHA256SUMS` when it was fetched, and its paths have
//! its version: after a change of version a file of the old one is not found.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // The folder is in the repository, so this is never about a path that is missing, for which cargo would
    // build anew each time; what comes and goes below it is seen.
    println!("cargo::rerun-if-changed=bundle");
    println!("cargo::rerun-if-changed=build.rs");
    let bundle = bundle(Path::new("bundle"))?.unwrap_or_default();
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(PathBuf::from(out).join("mqtt.js"), bundle)
}

/// What was fetched, if all of it is there.
fn bundle(folder: &Path) -> io::Result<Option<String>> {
    let sums = fs::read_to_string(folder.join("SHA256SUMS"))?;
    let paths = sums.lines().filter_map(|line| line.split_once("  "));
    let (mut license, mut script) = (String::new(), String::new());
    for (_, path) in paths {
        let text = match fs::read_to_string(folder.join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        match path.ends_with(".js") {
            true => script = text,
            false => license = text,
        }
    }
    Ok(Some(format!("/*!\n{license}*/\n{script}")))
}

//! The beginning of the page, on what and how it was measured, and its end, how to do so again.

use super::Page;
use crate::results::Results;

pub(super) fn write(page: &mut Page, results: &Results) {
    page.heading(1, "Benchmarks: mosca beside other brokers");
    page.paragraph(
        "Written by `cargo xtask bench --peers`, from `docs/benchmarks/results.json`: what is changed \
         here by hand is gone with the next run.",
    );
    write_facts(page, results);
    write_method(page);
}

/// When, on what and with whom.
pub(super) fn write_facts(page: &mut Page, results: &Results) {
    let machine = &results.machine;
    page.line("| measured | |");
    page.line("| --- | --- |");
    page.line(&format!("| when | {} |", when(results)));
    page.line(&format!(
        "| on | {}{}, {} processors, {:.1} GiB |",
        machine.processor,
        if machine.is_virtual {
            ", a virtual machine"
        } else {
            ""
        },
        machine.processors,
        machine.memory_mib as f64 / 1024.0,
    ));
    page.line(&format!(
        "| system | {}, Linux {}, TCP congestion control {} |",
        machine.system, machine.kernel, machine.tcp_congestion_control
    ));
    let distinct = |values: Vec<String>| {
        let mut distinct: Vec<String> = Vec::new();
        for value in values {
            if !distinct.contains(&value) {
                distinct.push(value);
            }
        }
        distinct.join("; ")
    };
    let sessions = results.sessions.iter();
    let rounds = sessions.clone().map(|session| {
        format!(
            "{} of {} s after a warm-up of {} s",
            session.rounds,
            session.seconds,
            session.seconds / 2.0
        )
    });
    page.line(&format!("| rounds | {} |", distinct(rounds.collect())));
    let generators = sessions.clone().map(|session| session.load.clone());
    page.line(&format!(
        "| load generator | {} |",
        distinct(generators.collect())
    ));
    let files = sessions.map(|session| session.open_files.to_string());
    page.line(&format!(
        "| open files per process | at most {} |",
        distinct(files.collect())
    ));
    for facts in &results.brokers {
        let versions = if facts.versions.is_empty() {
            "of an unknown version".to_owned()
        } else {
            facts.versions.join("; ")
        };
        page.line(&format!("| {} | {versions} |", facts.name));
    }
    page.line("");
}

fn when(results: &Results) -> String {
    let began = results.sessions.iter().map(|session| &session.began).min();
    let ended = results.sessions.iter().map(|session| &session.ended).max();
    match (began, ended) {
        (Some(began), Some(ended)) => format!("{began} to {ended} UTC"),
        _ => "never".to_owned(),
    }
}

fn write_method(page: &mut Page) {
    page.paragraph("How to read it:");
    page.item(
        "Every run has a broker of its own, freshly started on this machine and spoken to over \
         loopback. The load generator is one thread on the same processors. Brokers take turns, and \
         another one is first in each round.",
    );
    page.item(
        "A figure is the median of its runs; ± is half of their range in percent. The best of a line \
         is printed bold.",
    );
    page.item(
        "The last column says how many times better mosca is than the best of the others: for rates, \
         mosca's divided by theirs; for times and memory, theirs divided by mosca's. Above 1 mosca is \
         ahead. Below 1 is a miss, and misses are listed first.",
    );
    page.item(
        "A run in which a message was lost, doubled, put out of order or sent astray has failed, as \
         has one whose broker ended or took too long. * marks a figure beside which other runs of the \
         same broker failed. The reasons stand at the end of each section.",
    );
    page.item(
        "† marks rows during which others used the machine: there, processor time per message says \
         more than rates and latencies. ‡ marks figures during which the load generator used more than \
         90 % of a processor: it may be what limits the rate.",
    );
    page.line("");
}

/// How to do it again; `mode` is `--peers` or `--stores`.
pub(super) fn write_repetition(page: &mut Page, results: &Results, mode: &str) {
    page.heading(2, "To repeat it");
    page.paragraph(
        "The programs of the peers must be there; `{port}`, `{dir}` and `{conf:FILE}` are filled in by \
         the command, and `…` stands for a folder of the machine on which this was measured.",
    );
    page.line("```sh");
    let mut shown: Vec<&str> = Vec::new();
    for session in &results.sessions {
        if !shown.contains(&session.arguments.as_str()) {
            shown.push(&session.arguments);
            let command = format!("cargo xtask bench {mode} {}", session.arguments);
            page.line(command.trim_end());
        }
    }
    page.line("```");
    page.line("");
    page.paragraph("The brokers were started as:");
    page.line("```text");
    for facts in &results.brokers {
        page.line(&format!("{}: {}", facts.name, facts.command));
    }
    page.line("```");
    for facts in &results.brokers {
        let Some(configuration) = &facts.configuration else {
            continue;
        };
        page.line("");
        page.paragraph(&format!("Configuration of {}:", facts.name));
        page.line("```text");
        for line in configuration.lines() {
            page.line(line);
        }
        page.line("```");
    }
    page.line("");
    page.paragraph("What each row asked of the load generator:");
    page.line("| row | arguments |");
    page.line("| --- | --- |");
    for row in &results.rows {
        page.line(&format!("| {} | `{}` |", row.name, row.arguments));
    }
}

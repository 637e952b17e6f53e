//! `mosca bench`: a load generator. Clients connect, publish and subscribe; what they see is counted and timed.
//!
//! A run goes through phases: all connect; those who publish do so until they have had enough or time is up; what
//! is still under way is waited for; all take their leave. Latency at a fixed rate counts from when a message was
//! due, whenever it was sent: a server that makes publishers wait does not look the better for it. (This is known as
//! the omission that is coordinated with who is measured.)

mod args;
mod board;
mod course;
mod crew;
mod meter;
mod pace;
mod plan;
mod publisher;
mod stamp;
mod subscriber;
mod summary;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
pub(crate) use args::BenchArgs;
use board::{Board, Doing, Ended};
use course::{Course, Pacing, Phase};
use crew::Crew;
use mqtt_client::Connector;
use pace::{Pacer, Schedule};
use publisher::Published;
use summary::{Durations, Summary};
use tokio::sync::watch;
use tokio::time;

use super::interrupts::Interrupts;
use super::output;

/// Messages were lost, or connections were.
const NOT_WELL: u8 = 6;

/// Clients have so long to take their leave.
const LEAVE: Duration = Duration::from_secs(5);

pub(super) async fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.roles().all() > 0,
        "there is no client that could do anything"
    );
    // From here on a signal ends the run with its summary.
    let interrupts = Interrupts::new()?;
    let options = super::options(&args.connection)?;
    let server = options.address.to_string();
    let connector = Connector::new(&options).await;
    let connector = connector.with_context(|| format!("cannot connect to {server}"))?;
    let course = Arc::new(Course::new(args, connector, options)?);
    let mut board = Board::new(interrupts)?;
    let (expected, durations) = go_through(&course, &mut board).await?;
    let summary = Summary {
        server,
        total: board.finish(&course.meter),
        course: &course,
        expected,
        durations,
    };
    let total = &summary.total;
    if total.connected == 0 && total.failed > 0 {
        let errors = course.meter.errors();
        let words = errors.keys().next().map_or("", String::as_str);
        crate::complain(&anyhow::anyhow!(
            "cannot connect to {}: {words}",
            summary.server
        ));
        let is_refused = total.refused == total.failed;
        return Ok(if is_refused {
            ExitCode::from(super::REFUSED)
        } else {
            ExitCode::FAILURE
        });
    }
    output::write(summary.text().as_bytes())?;
    Ok(if summary.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_WELL)
    })
}

/// All phases. Returns how many copies of messages had to come, and how long things took.
async fn go_through(course: &Arc<Course>, board: &mut Board) -> anyhow::Result<(u64, Durations)> {
    let (phases, phase) = watch::channel(Phase::Connecting);
    let mut crew = Crew::default();
    let mut durations = Durations::default();
    let mut expected = 0;
    let begun = Instant::now();
    let connecting = Doing::Connecting(course.roles.all());
    let started = crew.start(course, &phase);
    let ended = board.during(&course.meter, connecting, started).await;
    durations.connecting = begun.elapsed();
    if ended == Ended::ByItself {
        let pacing = pacing(course)?;
        let begun = Instant::now();
        phases.send_replace(Phase::Publishing(pacing));
        let published = measure(course, board, &mut crew, &phases).await;
        durations.measuring = begun.elapsed();
        let copies = published.iter().map(|it| {
            let topic = plan::numbered(&course.args.topic, it.publisher);
            it.messages.saturating_mul(course.receivers.of(&topic))
        });
        expected = copies.sum();
        let patience = Duration::from_secs(course.args.drain);
        let last = board.drain(&course.meter, expected, patience).await;
        let receiving = last.map(|last| last.saturating_duration_since(begun));
        durations.receiving = receiving.unwrap_or_default();
    }
    phases.send_replace(Phase::Over);
    let leaving = async { while crew.others.join_next().await.is_some() {} };
    // Who has not gone by then is left behind.
    let _gone = time::timeout(LEAVE, leaving).await;
    Ok((expected, durations))
}

/// Until all publishers have had enough, or time is up, or somebody interrupts; without publishers, until all
/// connections are lost. Returns what was published.
async fn measure(
    course: &Course,
    board: &mut Board,
    crew: &mut Crew,
    phases: &watch::Sender<Phase>,
) -> Vec<Published> {
    let publish = course.roles.publishers > 0;
    let mut published = Vec::new();
    {
        let working = async {
            if publish {
                while let Some(one) = crew.publishers.join_next().await {
                    published.extend(one.ok());
                }
            } else {
                while crew.others.join_next().await.is_some() {}
            }
        };
        tokio::pin!(working);
        let limit = course.args.duration_secs().map(Duration::from_secs);
        let mut is_done = false;
        let until = async {
            tokio::select! {
                () = &mut working => is_done = true,
                () = after(limit) => {}
            }
        };
        board.during(&course.meter, Doing::Measuring, until).await;
        phases.send_replace(Phase::Draining);
        if publish && !is_done {
            board.during(&course.meter, Doing::Measuring, working).await;
        }
    }
    published
}

async fn after(limit: Option<Duration>) {
    match limit {
        Some(limit) => time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Where there is a rate, the times at which messages are due begin now.
fn pacing(course: &Course) -> anyhow::Result<Option<Arc<Pacing>>> {
    let Some(rate) = course.args.rate else {
        return Ok(None);
    };
    let schedule = Schedule::new(Instant::now(), rate, course.roles.publishers);
    let pacer = Pacer::start(schedule).context("cannot start a thread")?;
    Ok(Some(Arc::new(Pacing { schedule, pacer })))
}

//! Structured logs on standard error.

use std::{
    io::{self, BufWriter, IsTerminal, Stderr, Write},
    thread,
    time::Duration,
};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, Log, LogFormat};

/// Lines that wait to be written. Whoever has one more to say waits as well.
const WAITING: usize = 4096;
/// How long lines are gathered, so that those of a busy moment share a write.
const GATHERED: Duration = Duration::from_millis(5);

/// Starts logging to standard error. The lines are written by a thread of its own, within milliseconds; dropping the
/// guard, at the end of the process, writes those that still wait.
///
/// # Errors
/// [`ConfigError`] if `log.level` is not understood.
pub fn start(log: &Log) -> Result<WorkerGuard, ConfigError> {
    let filter = EnvFilter::try_new(&log.level).map_err(|error| ConfigError::unusable("log.level", error))?;
    let lines = NonBlockingBuilder::default().lossy(false).buffered_lines_limit(WAITING).thread_name("log");
    let (writer, guard) = lines.finish(Gathering(BufWriter::new(io::stderr())));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A second call (in tests) leaves the first in place.
    let _ = match log.format {
        LogFormat::Json => subscriber.json().flatten_event(true).with_current_span(false).try_init(),
        LogFormat::Pretty => subscriber.with_target(false).with_ansi(io::stderr().is_terminal()).try_init(),
    };
    Ok(guard)
}

/// Writes what there is, then pauses: the thread that calls it flushes whenever no line waits.
struct Gathering(BufWriter<Stderr>);

impl Write for Gathering {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "whatever the clock does, a pause of this length is what is meant"
    )]
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::sleep(GATHERED);
        Ok(())
    }
}

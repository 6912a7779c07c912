//! What a terminal shows while something takes long. Elsewhere it shows nothing, so that nothing is in the way of pipes
//! and logs; only what may take hours prints a line now and then.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Work that is done sooner shows nothing.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the line is drawn anew.
const REDRAW: Duration = Duration::from_millis(100);
/// How often a line is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(10);
/// How wide the bar is, in columns.
const WIDTH: usize = 24;

/// A bar for work whose size is known, on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    total: usize,
    done: usize,
    /// How much was done when it began.
    before: usize,
    /// What is counted, where it may take so long that lines are printed too.
    unit: Option<&'static str>,
    began: Instant,
    drawn: Option<Instant>,
    terminal: bool,
}

impl Progress {
    /// A bar for so many steps.
    pub(super) fn new(what: &'static str, total: usize) -> Self {
        Self {
            what,
            total,
            done: 0,
            before: 0,
            unit: None,
            began: Instant::now(),
            drawn: None,
            terminal: shows(),
        }
    }

    /// A bar for so many rows, of which some were there before.
    pub(super) fn of_rows(what: &'static str, before: usize, total: usize) -> Self {
        Self {
            before,
            unit: Some("rows"),
            ..Self::new(what, total)
        }
    }

    /// One step is done.
    pub(super) fn step(&mut self) {
        self.reach(self.done + 1);
    }

    /// So much is done.
    pub(super) fn reach(&mut self, done: usize) {
        self.done = done;
        let now = Instant::now();
        let (first, again) = if self.terminal {
            (PATIENCE, REDRAW)
        } else {
            (LINE, LINE)
        };
        let due = self.drawn.map_or(self.began + first, |drawn| drawn + again);
        if now < due || !(self.terminal || self.unit.is_some()) {
            return;
        }
        self.drawn = Some(now);
        let far = self.far(now - self.began);
        if self.terminal {
            let line = format!("{} {} {far}", self.what, bar(self.done, self.total));
            draw(&mut io::stderr(), &line);
        } else {
            eprintln!("{} {far}", self.what);
        }
    }

    /// How far it is, and how long the rest will take at that rate.
    fn far(&self, took: Duration) -> String {
        let (done, total) = (self.done, self.total);
        let count = match self.unit {
            Some(unit) => format!("{done} of {total} {unit}"),
            None => format!("{done}/{total}"),
        };
        let left = took
            .checked_mul(u32::try_from(total.saturating_sub(done)).unwrap_or(u32::MAX))
            .and_then(|time| {
                time.checked_div(u32::try_from(done - self.before.min(done)).unwrap_or(u32::MAX))
            })
            .unwrap_or_default();
        let left = humantime::format_duration(Duration::from_secs(left.as_secs()));
        format!("{count}, {left} left")
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal && self.drawn.is_some() {
            draw(&mut io::stderr(), "");
        }
    }
}

/// Waits for something whose size is not known, and shows for how long.
pub(super) fn waiting<T>(what: &str, work: impl Future<Output = T>) -> impl Future<Output = T> {
    counting(what, || None, work)
}

/// The same, and shows besides how much has come of it so far, where that can be told.
pub(super) fn counting<T>(
    what: &str,
    so_far: impl Fn() -> Option<String>,
    work: impl Future<Output = T>,
) -> impl Future<Output = T> {
    // It is large, and would be so in each of the futures that wait for it.
    let work = Box::pin(work);
    async move {
        if shows() {
            watched(&mut io::stderr(), what, so_far, work).await
        } else {
            work.await
        }
    }
}

async fn watched<T>(
    out: &mut impl Write,
    what: &str,
    so_far: impl Fn() -> Option<String>,
    work: impl Future<Output = T>,
) -> T {
    let began = Instant::now();
    let mut work = std::pin::pin!(work);
    let mut drawn = false;
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            () = tokio::time::sleep(if drawn { REDRAW } else { PATIENCE }) => {
                draw(out, &line(what, so_far().as_deref(), began.elapsed()));
                drawn = true;
            }
        }
    };
    if drawn {
        draw(out, "");
    }
    done
}

/// Whether standard error is a terminal that can draw a line anew.
fn shows() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|name| name != "dumb")
}

/// Puts a line in the place of the one before. Whoever cannot show it does not need it. There are no colours in it.
fn draw(out: &mut impl Write, line: &str) {
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
    // One that went on in a second row would stay there.
    let line: String = line.chars().take(width.saturating_sub(1)).collect();
    let _ = write!(out, "\r\u{1b}[2K{line}").and_then(|()| out.flush());
}

fn line(what: &str, so_far: Option<&str>, took: Duration) -> String {
    let took = humantime::format_duration(Duration::from_secs(took.as_secs()));
    match so_far {
        Some(so_far) => format!("{what} … {so_far}, {took}"),
        None => format!("{what} … {took}"),
    }
}

fn bar(done: usize, total: usize) -> String {
    let full = (done * WIDTH).checked_div(total).unwrap_or(WIDTH).min(WIDTH);
    format!("[{}{}]", "=".repeat(full), " ".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;

    fn far(before: usize, done: usize, total: usize, unit: Option<&'static str>) -> String {
        let progress = Progress {
            done,
            before,
            unit,
            ..Progress::new("replaying", total)
        };
        progress.far(Duration::from_secs(10))
    }

    #[test]
    fn a_bar_says_how_far_it_is_and_how_long_it_will_take() {
        assert_eq!(bar(50, 200), format!("[{}{}]", "=".repeat(6), " ".repeat(18)));
        assert_eq!(bar(0, 0), format!("[{}]", "=".repeat(24)));
        assert_eq!(far(0, 50, 200, None), "50/200, 30s left");
        assert_eq!(far(0, 3, 3, None), "3/3, 0s left");
        assert_eq!(far(0, 0, 0, None), "0/0, 0s left");
    }

    #[test]
    fn what_was_there_before_does_not_make_the_rest_seem_short() {
        assert_eq!(far(100, 150, 200, Some("rows")), "150 of 200 rows, 10s left");
        assert_eq!(far(100, 100, 200, Some("rows")), "100 of 200 rows, 0s left");
    }

    /// Keeps what is written, and says that something was.
    struct Screen(Vec<u8>, Arc<Notify>);

    impl Write for Screen {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.extend(text);
            self.1.notify_one();
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_takes_long_is_shown_with_how_much_has_come_of_it() {
        let drawn = Arc::new(Notify::new());
        let mut screen = Screen(Vec::new(), drawn.clone());
        let so_far = || Some("3.0 MiB written".to_owned());
        watched(&mut screen, "copying", so_far, drawn.notified()).await;
        let shown = String::from_utf8(screen.0).unwrap();
        let lines: Vec<&str> = shown.split("\r\u{1b}[2K").collect();
        assert!(lines[1].starts_with("copying … 3.0 MiB written, "), "{lines:?}");
        assert_eq!(lines.last(), Some(&""), "at the end nothing of it is left");
    }

    #[tokio::test]
    async fn what_is_done_soon_shows_nothing() {
        let mut screen = Screen(Vec::new(), Arc::new(Notify::new()));
        watched(&mut screen, "copying", || None, std::future::ready(())).await;
        assert_eq!(screen.0, b"");
    }
}

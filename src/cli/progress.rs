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
            terminal: io::stderr().is_terminal(),
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
            draw(&format!("{} {} {far}", self.what, bar(self.done, self.total)));
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
            draw("");
        }
    }
}

/// Waits for something whose size is not known, and shows for how long.
pub(super) async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let began = Instant::now();
    let mut work = std::pin::pin!(work);
    let mut drawn = false;
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            () = tokio::time::sleep(if drawn { REDRAW } else { PATIENCE }) => {
                draw(&format!("{what} … {}", humantime::format_duration(Duration::from_secs(began.elapsed().as_secs()))));
                drawn = true;
            }
        }
    };
    if drawn {
        draw("");
    }
    done
}

/// Puts a line in the place of the one before. Whoever cannot show it does not need it.
fn draw(line: &str) {
    let mut out = io::stderr().lock();
    let _ = write!(out, "\r\u{1b}[2K{line}").and_then(|()| out.flush());
}

fn bar(done: usize, total: usize) -> String {
    let full = (done * WIDTH).checked_div(total).unwrap_or(WIDTH).min(WIDTH);
    format!("[{}{}]", "=".repeat(full), " ".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
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
}

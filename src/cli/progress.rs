//! What a terminal shows while something takes long. Elsewhere it shows nothing, so that nothing is in the way of pipes
//! and logs.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Work that is done sooner shows nothing.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the line is drawn anew.
const REDRAW: Duration = Duration::from_millis(100);
/// How wide the bar is, in columns.
const WIDTH: usize = 24;

/// A bar for work whose size is known, on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    total: usize,
    done: usize,
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
            began: Instant::now(),
            drawn: None,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// One step is done.
    pub(super) fn step(&mut self) {
        self.done += 1;
        let now = Instant::now();
        let due = self.drawn.map_or(self.began + PATIENCE, |drawn| drawn + REDRAW);
        if self.terminal && now >= due {
            self.drawn = Some(now);
            draw(&bar(self.what, self.done, self.total, now - self.began));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
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

fn bar(what: &str, done: usize, total: usize, took: Duration) -> String {
    let full = (done * WIDTH).checked_div(total).unwrap_or(WIDTH).min(WIDTH);
    let left = took
        .checked_mul(u32::try_from(total.saturating_sub(done)).unwrap_or(u32::MAX))
        .and_then(|time| time.checked_div(u32::try_from(done).unwrap_or(u32::MAX)))
        .unwrap_or_default();
    format!(
        "{what} [{}{}] {done}/{total}, {} left",
        "=".repeat(full),
        " ".repeat(WIDTH - full),
        humantime::format_duration(Duration::from_secs(left.as_secs()))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_how_far_it_is_and_how_long_it_will_take() {
        let ten = Duration::from_secs(10);
        assert_eq!(
            bar("replaying", 50, 200, ten),
            format!("replaying [{}{}] 50/200, 30s left", "=".repeat(6), " ".repeat(18))
        );
        assert!(bar("replaying", 3, 3, ten).ends_with("] 3/3, 0s left"));
        assert!(bar("replaying", 0, 0, ten).contains("0/0"));
    }
}

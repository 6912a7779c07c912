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
            terminal: shows(),
        }
    }

    /// One step is done.
    pub(super) fn step(&mut self) {
        self.done += 1;
        let now = Instant::now();
        let due = self.drawn.map_or(self.began + PATIENCE, |drawn| drawn + REDRAW);
        if self.terminal && now >= due {
            self.drawn = Some(now);
            draw(
                &mut io::stderr(),
                &bar(self.what, self.done, self.total, now - self.began),
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
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
    use std::sync::Arc;

    use tokio::sync::Notify;

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

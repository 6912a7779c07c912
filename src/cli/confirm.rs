//! Asking before what cannot be taken back.

use std::io::{self, IsTerminal, Write};

use super::Usage;

/// Refuses where nobody can be asked and `--yes` was not said. `what` begins the sentence.
pub(super) fn may_ask(yes: bool, what: &str) -> Result<(), Usage> {
    if yes || io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Usage(format!("{what}; without a terminal say --yes")))
}

/// Asks a question that is answered with yes or no; anything else is no.
pub(super) fn confirmed(question: &str) -> io::Result<bool> {
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

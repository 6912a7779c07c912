//! `chatbridge completions` and `chatbridge man`: what the shell and the manual know of the commands.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Cli, ConfigFile, output};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  chatbridge completions bash > ~/.local/share/bash-completion/completions/chatbridge
  chatbridge completions zsh > \"${fpath[1]}/_chatbridge\"
  chatbridge completions fish > ~/.config/fish/completions/chatbridge.fish")]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
    #[command(flatten)]
    config: ConfigFile,
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  chatbridge man | man -l -
  chatbridge man --out /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Write the pages of all commands into this folder, chatbridge.1 among them.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Prints what a shell needs to complete our commands.
pub fn completions(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "chatbridge", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(())
}

/// Prints the manual's page, or writes all pages.
pub fn man(args: &ManArgs) -> anyhow::Result<()> {
    // The pages need no command that shows help.
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let Some(folder) = &args.out else {
        return Ok(io::stdout().lock().write_all(&page(root, "chatbridge")?)?);
    };
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let count = write(folder, root, "chatbridge")?;
    output::line(&format!("{count} pages are in {}.", folder.display()))
}

/// Writes the page of a command and of those below it. Returns how many those are.
fn write(folder: &Path, command: Command, name: &str) -> anyhow::Result<usize> {
    let mut count = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        let name = format!("{name}-{}", below.get_name());
        count += write(folder, below.clone(), &name)?;
    }
    let file = folder.join(format!("{name}.1"));
    fs::write(&file, page(command, name)?)
        .with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(count)
}

fn page(command: Command, name: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let version = concat!("chatbridge ", env!("CARGO_PKG_VERSION"));
    // clap keeps names for as long as the process lives: these are a few dozen short words.
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    Man::new(command.name(name))
        .source(version)
        .manual("chatbridge")
        .render(&mut page)?;
    Ok(page)
}

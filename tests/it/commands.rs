//! What every command line tool owes its user: completions, a manual, colours where they are wanted, silence elsewhere.

use std::path::Path;

use crate::harness::tool::{command, content};
use crate::harness::{World, run};

#[test]
fn shells_are_told_the_commands_and_take_what_they_are_told() {
    let home = tempfile::tempdir().unwrap();
    for (shell, checker, arguments) in [
        ("bash", "bash", &["-n"][..]),
        ("zsh", "zsh", &["-n"][..]),
        ("fish", "fish", &["--no-execute"][..]),
        ("elvish", "", &[][..]),
        ("powershell", "", &[][..]),
    ] {
        let script = run(home.path(), &["completions", shell], &[]).exits(0).stdout;
        for word in ["threads", "replay", "offline"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
        let found = ["/bin", "/usr/bin"]
            .iter()
            .map(|folder| Path::new(folder).join(checker))
            .find(|file| file.is_file());
        if let Some(program) = found {
            let file = home.path().join(shell);
            std::fs::write(&file, &script).unwrap();
            let mut check = command(&program, arguments);
            check.arg(&file);
            content(check, "");
        }
    }
    run(home.path(), &["completions", "tcsh"], &[]).exits(2);
}

/// Bash completes with it.
#[test]
fn bash_completes_a_word_that_was_begun() {
    let home = tempfile::tempdir().unwrap();
    let script = run(home.path(), &["completions", "bash"], &[]).exits(0).stdout;
    let asked = format!(
        "{script}\nCOMP_WORDS=(chatbridge dead re) COMP_CWORD=2 COMP_LINE='chatbridge dead re' COMP_POINT=18\n\
         _chatbridge chatbridge re dead\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    );
    let mut bash = command::<&str>(Path::new("bash"), &["--norc"]);
    bash.current_dir(home.path());
    assert_eq!(content(bash, &asked).trim(), "replay");
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let home = tempfile::tempdir().unwrap();
    let page = run(home.path(), &["man"], &[]).exits(0).stdout;
    for words in [
        ".TH chatbridge 1",
        "chatbridge\\-threads",
        "Examples:",
        "Exit status",
    ] {
        assert!(page.contains(words), "{words} in\n{page}");
    }
    let said = run(home.path(), &["man", "--out", "pages"], &[]).exits(0).stdout;
    let mut pages: Vec<String> = std::fs::read_dir(home.path().join("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert!(said.contains(&pages.len().to_string()), "{said}");
    for name in [
        "chatbridge.1",
        "chatbridge-dead-replay.1",
        "chatbridge-serve.1",
        "chatbridge-slack-manifest.1",
    ] {
        assert!(pages.contains(&name.to_owned()), "{name} in {pages:?}");
    }
    assert!(!pages.iter().any(|name| name.contains("help")), "{pages:?}");
    // Where there is a program that shows such pages, it has nothing to complain of.
    let man = Path::new("/usr/bin/man");
    if man.is_file() {
        let mut read = command(man, &["--warnings", "-l"]);
        read.arg(home.path().join("pages/chatbridge-threads-list.1"))
            .env("LC_ALL", "C.UTF-8");
        let read = content(read, "");
        assert!(read.contains("--limit") && !read.contains("warning"), "{read}");
    }
    // A folder that cannot be made is the caller's to know.
    std::fs::write(home.path().join("file"), "").unwrap();
    let said = run(home.path(), &["man", "--out", "file/below"], &[]).exits(1);
    assert!(said.stderr.contains("file/below"), "{said:?}");
}

#[test]
fn colours_stand_where_they_are_wanted_only() {
    let world = World::stopped();
    let file = world.write_config();
    let ask = |environment: &[(&str, &str)]| {
        let environment: Vec<(String, String)> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        run(
            world.home(),
            &["check", "--offline", "--config", &file],
            &environment,
        )
        .exits(0)
        .stdout
    };
    let green = "\u{1b}[32mok";
    assert!(!ask(&[]).contains('\u{1b}'), "a pipe wants none");
    assert!(ask(&[("CLICOLOR_FORCE", "1")]).contains(green));
    assert!(!ask(&[("CLICOLOR_FORCE", "0")]).contains('\u{1b}'));
    assert!(!ask(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\u{1b}'));
    assert!(
        ask(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")]).contains(green),
        "an empty one says nothing"
    );
}

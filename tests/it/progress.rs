//! What commands show while something takes long: a line on a terminal, and nothing anywhere else.

use crate::harness::postgres::on_postgres;
use crate::harness::{Person, Reader, World};

/// What goes to the beginning of the line and clears it.
const ANEW: &str = "\r\u{1b}[2K";

#[test]
fn erasing_shows_on_a_terminal_what_it_waits_for_and_nothing_elsewhere() {
    if on_postgres() {
        // There are no files of ours to clear.
        return;
    }
    let world = World::start();
    for (phone, said) in [("15550001111", "one"), ("15550002222", "two")] {
        world.text(&Person::phone(phone), said);
        world.meta.wait_sent(said);
    }
    // While somebody reads, the log cannot be cut: the command tries for some seconds.
    let reader = Reader::of(&world);
    let erase = |phone| ["threads", "erase", "--person", phone, "--yes"];
    let watched = world.cli_watched(&erase("15550001111")).exits(1);
    let line = format!("{ANEW}removing the last traces from the database's files … ");
    assert!(watched.stderr.contains(&line), "{watched:?}");
    let (_, after) = watched.stderr.rsplit_once(ANEW).unwrap();
    assert!(after.starts_with("error: it is erased, but"), "{watched:?}");
    assert!(watched.stdout.starts_with("erased whatsapp/"), "{watched:?}");
    let elsewhere = world.cli(&erase("15550002222")).exits(1);
    assert!(
        elsewhere.stderr.starts_with("error: it is erased, but"),
        "{elsewhere:?}"
    );
    assert!(!elsewhere.said().contains(['\r', '\u{1b}']), "{elsewhere:?}");
    drop(reader);
}

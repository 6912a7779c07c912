//! All statements in one list, for whoever looks at how the database carries them out.

use super::{accept, acts, changes, claims, figures, fresh, installations, privacy, reads, sends, turns};
use crate::store::sql;

/// The statements by their names: those of this database (some are several in one text), and those that both share.
pub fn statements() -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("accept: READ", accept::READ),
        ("accept: READ_DELIVERIES", accept::READ_DELIVERIES),
        ("accept: WRITE", accept::WRITE),
        ("accept: WRITE_NOTICES", accept::WRITE_NOTICES),
        ("accept: WRITE_RECEIPTS", accept::WRITE_RECEIPTS),
        ("accept::names: LEAVE", accept::names::LEAVE),
        ("accept::names: PAUSE", accept::names::PAUSE),
        ("accept::names: READDRESS", accept::names::READDRESS),
        ("accept::names: WRITE_ADOPTION", accept::names::WRITE_ADOPTION),
        ("acts: READ_OPEN", acts::READ_OPEN),
        ("acts: READ_PARTS", acts::READ_PARTS),
        ("acts: WRITE_RATINGS", acts::WRITE_RATINGS),
        ("acts: WRITE_RESETS", acts::WRITE_RESETS),
        ("acts: WRITE_REVISIONS", acts::WRITE_REVISIONS),
        ("acts: WRITE_SPOKEN", acts::WRITE_SPOKEN),
        ("acts::stops: READ", acts::stops::READ),
        ("acts::stops: WRITE", acts::stops::WRITE),
        ("changes: HAND_OVER", changes::HAND_OVER),
        ("changes: MOVE_LANES", changes::MOVE_LANES),
        ("changes: OPEN", changes::OPEN),
        ("changes: RECOVER", changes::RECOVER),
        ("changes: RELEASE", changes::RELEASE),
        ("changes: REPLAY_DELIVERY", changes::REPLAY_DELIVERY),
        ("changes: REPLAY_MESSAGE", changes::REPLAY_MESSAGE),
        ("claims: CLAIM_SENDS", claims::CLAIM_SENDS),
        ("claims: CLAIM_TURNS", claims::CLAIM_TURNS),
        ("claims: NEXT_DUE", claims::NEXT_DUE),
        ("claims: RENEW", claims::RENEW),
        ("claims: TAKE_SENDS", claims::TAKE_SENDS),
        ("claims: TAKE_TURNS", claims::TAKE_TURNS),
        ("fresh: APPEND", fresh::APPEND),
        ("fresh: CARRY", fresh::CARRY),
        ("fresh: FORGET", fresh::FORGET),
        ("fresh: LOAD", fresh::LOAD),
        ("installations: ENDED", installations::ENDED),
        ("installations: PUT", installations::PUT),
        ("figures: ANSWERED", figures::ANSWERED),
        ("privacy: CLEARED_LOG", privacy::CLEARED_LOG),
        ("privacy: CLEARED_PAGES", privacy::CLEARED_PAGES),
        ("privacy: UNCLEARED", privacy::UNCLEARED),
        ("reads: LANES", reads::LANES),
        ("reads: THREAD", reads::THREAD),
        ("reads: THREADS", reads::THREADS),
        ("sends: READ", sends::READ),
        ("sends: WRITE", sends::WRITE),
        ("turns: NEXT_TURN", turns::NEXT_TURN),
        ("turns: DEFER", turns::DEFER),
        ("turns: READ", turns::READ),
        ("turns: WRITE", turns::WRITE),
    ];
    all.extend(sql::ALL);
    all
}

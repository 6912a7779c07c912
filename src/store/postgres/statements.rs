//! All statements in one list, for whoever looks at how the database carries them out.

use super::{accept, acts, changes, claims, installations, lanes, reads, sends, turns};
use crate::store::sql;

/// The statements by their names: those of this database, and those that both databases share.
pub fn statements() -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("accept: LOCK", accept::LOCK),
        ("accept: READ", accept::READ),
        ("accept: READ_DELIVERIES", accept::READ_DELIVERIES),
        ("accept: WRITE", accept::WRITE),
        ("accept: WRITE_NOTICES", accept::WRITE_NOTICES),
        ("accept: WRITE_RECEIPTS", accept::WRITE_RECEIPTS),
        ("accept: REROUTE", accept::REROUTE),
        ("acts: READ_OPEN", acts::READ_OPEN),
        ("acts: READ_PARTS", acts::READ_PARTS),
        ("acts: WRITE_REVISIONS", acts::WRITE_REVISIONS),
        ("acts: WRITE_SPOKEN", acts::WRITE_SPOKEN),
        ("acts: WRITE_RESETS", acts::WRITE_RESETS),
        ("acts: WRITE_RATINGS", acts::WRITE_RATINGS),
        ("acts: LEAVE", acts::LEAVE),
        ("acts: ADOPT", acts::ADOPT),
        ("acts: ADOPTED", acts::ADOPTED),
        ("acts: PAUSE", acts::PAUSE),
        ("acts: FORMER", acts::FORMER),
        ("acts: READDRESS", acts::READDRESS),
        ("changes: RECOVER", changes::RECOVER),
        ("changes: TRY_HELD", changes::TRY_HELD),
        ("changes: MOVE_LANES", changes::MOVE_LANES),
        ("changes: OPEN", changes::OPEN),
        ("changes: HAND_OVER", changes::HAND_OVER),
        ("changes: REPLAY_MESSAGE", changes::REPLAY_MESSAGE),
        ("changes: REPLAY_DELIVERY", changes::REPLAY_DELIVERY),
        ("changes: CHECK_WRITABLE", changes::CHECK_WRITABLE),
        ("changes: LOCK_ONE", changes::LOCK_ONE),
        ("claims: CLAIM_TURNS", claims::CLAIM_TURNS),
        ("claims: TURN_MESSAGES", claims::TURN_MESSAGES),
        ("claims: DROP_EMPTY", claims::DROP_EMPTY),
        ("claims: NEXT_DUE", claims::NEXT_DUE),
        ("claims: CLAIM_SENDS", claims::CLAIM_SENDS),
        ("claims: SEND_PARTS", claims::SEND_PARTS),
        ("claims: RECORD_ATTEMPTS", claims::RECORD_ATTEMPTS),
        ("claims: RENEW", claims::RENEW),
        ("installations: PUT", installations::PUT),
        ("installations: ENDED", installations::ENDED),
        ("lanes: OWN", lanes::OWN),
        ("lanes: KEEP", lanes::KEEP),
        ("lanes: LEAVE", lanes::LEAVE),
        ("reads: LANES", reads::LANES),
        ("reads: THREAD", reads::THREAD),
        ("reads: THREADS", reads::THREADS),
        ("sends: READ", sends::READ),
        ("sends: WRITE", sends::WRITE),
        ("turns: READ", turns::READ),
        ("turns: WRITE", turns::WRITE),
        ("turns: NEXT_TURN", turns::NEXT_TURN),
    ];
    all.extend(sql::ALL);
    all
}

//! The platform and two people, as they really are.

use proptest::prelude::*;

/// What happens next. People are 0 and 1, numbers are 0 to 3.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// Someone writes; the number may be hidden, and the message may come late.
    Say { who: usize, shown: bool, late: bool },
    /// Someone moves to a number; whoever had it loses their account. The platform tells of it with user ids or
    /// without; with them perhaps late.
    Move {
        who: usize,
        number: usize,
        ids: bool,
        late: bool,
    },
    /// Someone's user id changes by itself.
    Rotate { who: usize, late: bool },
    /// Someone loses the account without a word, and has a new one: the number is in other hands.
    Renew { who: usize, number: usize },
    /// The oldest of what is late arrives.
    Arrive,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let (who, number) = (0..2_usize, 0..4_usize);
    let rarely = || prop::bool::weighted(0.2);
    prop_oneof![
        5 => (who.clone(), prop::bool::weighted(0.7), rarely())
            .prop_map(|(who, shown, late)| Step::Say { who, shown, late }),
        3 => (who.clone(), number.clone(), any::<bool>(), rarely())
            .prop_map(|(who, number, ids, late)| Step::Move { who, number, ids, late }),
        1 => (who.clone(), rarely()).prop_map(|(who, late)| Step::Rotate { who, late }),
        1 => (who, number).prop_map(|(who, number)| Step::Renew { who, number }),
        1 => Just(Step::Arrive),
    ]
}

/// What the platform posts.
#[derive(Debug, Clone)]
pub(super) enum Post {
    Said {
        owner: usize,
        names: Vec<String>,
        at: i64,
        late: bool,
        goes_on: bool,
    },
    Renamed {
        owner: usize,
        old: Vec<String>,
        new: Vec<String>,
        at: i64,
    },
}

/// One account on the platform: a person between two losses of it.
#[derive(Debug, Clone)]
struct Account {
    owner: usize,
    user: String,
    number: usize,
    /// Whether the bridge was told enough to know it by its user id, or by its number.
    known_by_user: bool,
    known_by_number: bool,
    /// Whether it can be told apart from whoever has its number next: it cannot between a change of number that named
    /// no user ids and its next message from there.
    settled: bool,
    /// Whether it wrote at all: of others the platform tells nothing. And whether from its number: only then does the
    /// platform tell of a new number without user ids.
    wrote: bool,
    wrote_from_number: bool,
}

/// The platform and its two people.
pub(super) struct Platform {
    people: Vec<Account>,
    late: Vec<Post>,
    made: usize,
    now: i64,
}

impl Platform {
    pub(super) fn new() -> Self {
        let mut platform = Self {
            people: Vec::new(),
            late: Vec::new(),
            made: 0,
            now: 0,
        };
        for number in 0..2 {
            let account = platform.account(number);
            platform.people.push(account);
        }
        platform
    }

    fn account(&mut self, number: usize) -> Account {
        self.made += 1;
        Account {
            owner: self.made,
            user: format!("u{}", self.made),
            number,
            known_by_user: false,
            known_by_number: false,
            settled: true,
            wrote: false,
            wrote_from_number: false,
        }
    }

    /// What is posted in this step.
    pub(super) fn step(&mut self, step: Step) -> Vec<Post> {
        self.now += 1000;
        match step {
            Step::Say { who, shown, late } => self.say(who, shown, late),
            Step::Move {
                who,
                number,
                ids,
                late,
            } => {
                if self.people[who].number == number || !self.evict(who, number) {
                    return Vec::new();
                }
                let from = format!("p{}", self.people[who].number);
                let person = &mut self.people[who];
                person.number = number;
                // The new number is as good as seen once the platform has told of it.
                let ids = ids || !person.wrote_from_number;
                person.wrote_from_number &= !ids;
                let late = late && ids && self.people[who].settled;
                self.rename(who, Some((from, format!("p{number}"))), ids, late)
            }
            Step::Rotate { who, late } => {
                let late = late && self.people[who].settled;
                self.rename(who, None, true, late)
            }
            Step::Renew { who, number } => {
                let free = self.people[1 - who].number != number;
                if free && self.people[who].settled {
                    self.people[who] = self.account(number);
                }
                Vec::new()
            }
            Step::Arrive if self.late.is_empty() => Vec::new(),
            Step::Arrive => {
                let post = self.late.remove(0);
                self.forget(&post);
                vec![post]
            }
        }
    }

    fn say(&mut self, who: usize, shown: bool, late: bool) -> Vec<Post> {
        let pending = self.pending(self.people[who].owner);
        let person = &mut self.people[who];
        let mut names = vec![person.user.clone()];
        names.extend(shown.then(|| format!("p{}", person.number)));
        let known = person.known_by_user || shown && person.known_by_number;
        if !late {
            person.known_by_number = shown || person.known_by_user && person.known_by_number;
            person.known_by_user = true;
            person.settled |= shown;
            person.wrote = true;
            person.wrote_from_number |= shown;
        }
        let post = Post::Said {
            owner: person.owner,
            names,
            at: self.now,
            late,
            goes_on: known && !late && !pending,
        };
        self.deliver(post, late)
    }

    /// Takes a number from whoever else has it; false if that cannot be told apart from the one who had it.
    fn evict(&mut self, who: usize, number: usize) -> bool {
        let other = 1 - who;
        if self.people[other].number != number {
            return true;
        }
        if !self.people[other].settled {
            return false;
        }
        let refuge = (0..4).find(|free| self.people.iter().all(|person| person.number != *free));
        self.people[other] = self.account(refuge.unwrap());
        true
    }

    /// A user id changes, with the number or without.
    fn rename(&mut self, who: usize, numbers: Option<(String, String)>, ids: bool, late: bool) -> Vec<Post> {
        self.made += 1;
        let user = format!("u{}", self.made);
        let person = &mut self.people[who];
        let before = std::mem::replace(&mut person.user, user.clone());
        if !person.wrote {
            return Vec::new();
        }
        let (mut old, mut new) = (Vec::new(), Vec::new());
        if ids {
            (old, new) = (vec![before], vec![user]);
        }
        let moved = numbers.is_some();
        if let Some((from, to)) = numbers {
            old.push(from);
            new.push(to);
        }
        if ids {
            person.known_by_user |= moved && person.known_by_number;
            person.known_by_number &= person.known_by_user;
            person.settled |= moved;
        } else {
            person.known_by_user = false;
            person.settled = false;
        }
        let post = Post::Renamed {
            owner: person.owner,
            old,
            new,
            at: self.now,
        };
        self.deliver(post, late)
    }

    /// Whether something of this account has not arrived yet.
    fn pending(&self, owner: usize) -> bool {
        self.late.iter().any(|post| post.owner() == owner)
    }

    /// After something late came, nothing is promised of its account until it writes again.
    fn forget(&mut self, post: &Post) {
        for person in self
            .people
            .iter_mut()
            .filter(|person| person.owner == post.owner())
        {
            (person.known_by_user, person.known_by_number) = (false, false);
        }
    }

    fn deliver(&mut self, post: Post, late: bool) -> Vec<Post> {
        if late {
            self.forget(&post);
            self.late.push(post);
            return Vec::new();
        }
        vec![post]
    }
}

impl Post {
    fn owner(&self) -> usize {
        match self {
            Self::Said { owner, .. } | Self::Renamed { owner, .. } => *owner,
        }
    }
}

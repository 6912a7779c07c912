//! The rules alone: `domain::identity` with nothing around it but two maps.

use super::*;

/// The rules of `domain::identity` with nothing around them but two maps.
#[derive(Default)]
pub(super) struct Rules {
    aliases: HashMap<AliasKey, (ThreadId, Time)>,
    threads: HashMap<ThreadId, Page>,
    keys: std::collections::HashSet<String>,
}

#[derive(Default, Clone)]
struct Page {
    bound: Option<AliasKey>,
    written: bool,
    route: Route,
    told: Time,
}

impl Rules {
    fn known(&self, claims: &[Identifier]) -> HashMap<AliasKey, Known> {
        let look = |claim: &Identifier| {
            let (thread, since) = *self.aliases.get(&claim.alias)?;
            let page = &self.threads[&thread];
            let known = Known {
                thread,
                bound: page.bound.clone(),
                written: page.written,
                since,
                told: page.told,
            };
            Some((claim.alias.clone(), known))
        };
        claims.iter().filter_map(look).collect()
    }

    fn point(&mut self, thread: ThreadId, point: &[Identifier], at: Time) {
        for claim in point {
            if let Some((loser, _)) = self.aliases.insert(claim.alias.clone(), (thread, at))
                && loser != thread
            {
                self.forget(loser, &claim.alias);
            }
        }
    }

    fn forget(&mut self, thread: ThreadId, alias: &AliasKey) {
        let page = self.threads.entry(thread).or_default();
        if let Some(route) = route_without(&page.route, alias) {
            page.route = route;
        }
    }

    fn tell(&mut self, thread: ThreadId, mut route: Route, lost: &[AliasKey], at: Time) {
        for alias in lost {
            route = route_without(&route, alias).unwrap_or(route);
        }
        let page = self.threads.entry(thread).or_default();
        if at >= page.told {
            page.route = route;
            page.told = at;
        }
    }

    fn leave(&mut self, leave: &[AliasKey]) {
        for alias in leave {
            if let Some((led, _)) = self.aliases.remove(alias) {
                self.forget(led, alias);
            }
        }
    }

    fn bind(&mut self, thread: ThreadId, bind: Binding) {
        let page = self.threads.entry(thread).or_default();
        match bind {
            Binding::Keep => {}
            Binding::To(name) | Binding::Loosen(name) => page.bound = Some(name),
        }
    }
}

pub(super) fn claims(names: &[String]) -> Vec<Identifier> {
    names.iter().map(|name| identifier(name)).collect()
}

impl Book for Rules {
    fn say(&mut self, names: &[String], at: Time, _: &str) -> (ThreadId, Route) {
        let claims = claims(names);
        let (thread, point, bind, lost) = match resolve(&claims, Opens::Thread, &self.known(&claims), at) {
            Resolution::Join {
                thread,
                point,
                bind,
                lost,
            } => (thread, point, bind, lost),
            Resolution::Open { point, bind, lost } => (ThreadId::new(), point, bind, lost),
            Resolution::NotForUs => panic!("everybody may write"),
        };
        self.threads.entry(thread).or_default().written = true;
        self.point(thread, &point, at);
        self.bind(thread, bind.map_or(Binding::Keep, Binding::To));
        self.tell(thread, route_of(names), &lost, at);
        (thread, self.threads[&thread].route.clone())
    }

    fn rename(&mut self, old: &[String], new: &[String], at: Time, key: &str) {
        if !self.keys.insert(key.to_owned()) {
            return;
        }
        let (old, new_names) = (claims(old), new);
        let new = claims(new);
        let all: Vec<Identifier> = old.iter().chain(&new).cloned().collect();
        let (thread, point, bind, leave, adopt) = match rename(&old, &new, &self.known(&all), at) {
            Renaming::Rename {
                thread,
                point,
                bind,
                leave,
                adopt,
            } => (thread, point, bind, leave, adopt),
            Renaming::Keep { point, bind } => {
                let bind = bind.map_or(Binding::Keep, Binding::To);
                (ThreadId::new(), point, bind, Vec::new(), None)
            }
            Renaming::Nothing { leave } => {
                self.leave(&leave);
                return;
            }
        };
        self.point(thread, &point, at);
        self.bind(thread, bind);
        self.leave(&leave);
        let lost: Vec<AliasKey> = new
            .iter()
            .filter(|name| !point.contains(name))
            .map(|name| name.alias.clone())
            .collect();
        self.tell(thread, route_of(new_names), &lost, at);
        if let Some(early) = adopt {
            let page = self.threads.remove(&early).unwrap();
            let kept = self.threads.get_mut(&thread).unwrap();
            (kept.route, kept.told) = (page.route, page.told);
            self.aliases
                .values_mut()
                .filter(|row| row.0 == early)
                .for_each(|row| row.0 = thread);
        }
    }

    fn routes(&self) -> Vec<(ThreadId, Route)> {
        self.threads
            .iter()
            .map(|(thread, page)| (*thread, page.route.clone()))
            .collect()
    }
}

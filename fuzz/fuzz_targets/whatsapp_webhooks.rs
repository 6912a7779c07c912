//! Whatever Meta signs, however odd: read or refused as malformed, fit to be stored, and read the same twice.
//!
//! The first byte of the input chooses the route.

#![no_main]

use std::sync::{Arc, LazyLock};

use chatbridge::channel::{Channel, Endpoint};
use chatbridge_fuzz::{channel, check, posts, signed};
use libfuzzer_sys::fuzz_target;

static CHANNEL: LazyLock<(Arc<dyn Channel>, Vec<Endpoint>)> = LazyLock::new(|| {
    let channel = channel("whatsapp");
    let posts = posts(&*channel);
    (channel, posts)
});

fuzz_target!(|data: &[u8]| {
    let Some((route, body)) = data.split_first() else {
        return;
    };
    let (channel, posts) = &*CHANNEL;
    let endpoint = &posts[usize::from(*route) % posts.len()];
    let read = || signed(&**channel, endpoint, body);
    let first = read();
    assert_eq!(format!("{first:?}"), format!("{:?}", read()), "read in two ways");
    check(&**channel, first);
});

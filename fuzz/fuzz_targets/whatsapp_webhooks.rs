//! Whatever Meta signs.

#![no_main]

use std::sync::LazyLock;

use chatbridge_fuzz::Door;
use libfuzzer_sys::fuzz_target;

static DOOR: LazyLock<Door> = LazyLock::new(|| Door::of("whatsapp"));

fuzz_target!(|data: &[u8]| DOOR.post(data));
